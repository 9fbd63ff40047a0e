"""What HTTP itself asks of every route."""
