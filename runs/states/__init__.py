"""A thread's state, read and changed through the thread's graph."""
