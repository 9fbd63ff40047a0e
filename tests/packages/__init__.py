"""Agents of popular packages, offline, with scripted models."""
