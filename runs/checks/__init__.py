"""System checks that report problems before the server starts."""
