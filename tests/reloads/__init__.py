"""`deerflow dev` while its files change: what is served, what becomes of runs, and how long it takes."""
