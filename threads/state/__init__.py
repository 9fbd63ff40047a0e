"""A thread's state, read through its graph and its checkpoints."""
