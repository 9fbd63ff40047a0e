"""The admin's list of runs: filters with counts, columns and saved views."""
