"""The event log: its table, its writers in this process, and its readers."""
