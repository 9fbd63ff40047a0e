"""The dashboard of the admin, and what it leads to."""
