"""What the pages of threads have beside their rows: conversations, histories, and their users' data."""
