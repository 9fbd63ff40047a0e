"""Requests of clients: parsing, validation and limits."""
