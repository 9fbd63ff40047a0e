"""The search box of the admin's list of runs."""
