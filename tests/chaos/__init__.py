"""Chaos: scripted runs by the thousand, while processes, connections and the database fail all the time.

`python -m tests.chaos` starts a PostgreSQL and several server processes of its own. Clients hold scripted
conversations with them, each of which knows its right output; meanwhile a monkey kills, pauses, ends and cuts off
whatever it finds, in an order that its seed decides. In the end every run must have exactly one final state and the right
output, no step may have been executed more often than the losses of its run allow, no event may be missing or
repeated, and no thread may be busy.
"""
