"""What people keep and see in the admin: bulk actions, users' deletions, views of lists, and the pages that are no table."""
