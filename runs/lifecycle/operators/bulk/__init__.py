"""One action on many runs: what it does with each, an estimate, and its progress."""
