"""The admin's pages over a million runs and ten million events: `make million`."""
