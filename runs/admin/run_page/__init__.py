"""The page of one run: its data as JSON, and its actions."""
