"""A state machine over the life of runs: two simulated workers on a real database, and what must hold after every step.

rules.py ──► workers.py ──► the product's own functions ──► database
    └──────► history.py ◄── sight.py ◄── plain SQL ◄──────────┘
"""
