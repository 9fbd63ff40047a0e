"""The state machine of runs: each module is one arrow, and each arrow one transaction."""
