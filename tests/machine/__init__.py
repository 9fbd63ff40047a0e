"""A state machine over the life of runs: two simulated workers on a real database, with invariants.

rules.py ──► workers.py ──► the product's own functions ──► database
    └──────► history.py ◄── sight.py ◄── plain SQL ◄──────────┘
"""
