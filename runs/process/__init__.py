"""This process among others: its runtime, its lease, dead workers, and wake-ups."""
