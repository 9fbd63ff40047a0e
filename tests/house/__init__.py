"""A report on the structure of the code: sizes, names, circles of imports, and prose. It enforces nothing."""
