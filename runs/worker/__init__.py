"""A process that executes runs: what it opens, the runs it executes, and its background loops."""
