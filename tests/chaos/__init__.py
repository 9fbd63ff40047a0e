"""Chaos: scripted runs by the thousand, while processes, connections and the database fail all the time.

`python -m tests.chaos` starts a PostgreSQL and several server processes of its own. Clients hold
scripted conversations with known output; meanwhile a monkey kills, pauses, stops and disconnects
processes, in an order that its seed decides. In the end every run must have exactly one final state
and the right output. No step may have been executed more often than its run's lost attempts allow,
no event may be missing or repeated, and no thread may be busy.
"""
