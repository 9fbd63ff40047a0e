"""What an attempt leaves in its run's log: rows for clients, items for pages, and notes for operators."""
