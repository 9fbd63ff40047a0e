"""System checks: what an operator should know before the server starts."""
