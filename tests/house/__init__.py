"""A report on the structure of the code: sizes, names, import cycles, and prose.

It enforces nothing.
"""
