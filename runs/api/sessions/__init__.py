"""The agent streaming protocol of one client, whatever carries it."""
