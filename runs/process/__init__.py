"""This process among others: its runtime, its lease, who is dead, and what wakes whom."""
