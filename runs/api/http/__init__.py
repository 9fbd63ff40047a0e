"""Middleware for what HTTP requires of every route."""
