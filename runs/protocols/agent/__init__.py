"""The agent streaming protocol: pure projections between a run's event log and what its clients are sent."""
