"""Database helpers that know nothing about threads: statements, time, columns, errors."""
