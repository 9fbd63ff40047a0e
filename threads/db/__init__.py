"""The database, without a word about threads: statements, time, columns, errors."""
