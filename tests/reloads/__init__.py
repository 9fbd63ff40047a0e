"""`deerflow dev` while its files change: what is served, how runs continue, and how long it takes."""
