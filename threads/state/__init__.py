"""A thread's state, as its graph and its checkpoints tell it."""
