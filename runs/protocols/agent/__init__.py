"""The agent streaming protocol: pure projections of a run's event log to its clients' events."""
