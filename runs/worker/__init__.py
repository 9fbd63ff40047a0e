"""A process that executes runs: what it opens, what it executes, and what it does beside that."""
