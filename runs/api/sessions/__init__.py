"""One client's session of the agent streaming protocol, independent of the transport."""
