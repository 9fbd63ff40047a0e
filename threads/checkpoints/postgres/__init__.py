"""Checkpoints in PostgreSQL."""
