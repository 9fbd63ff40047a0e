"""Agents of the packages that people use, offline, with models that are scripted."""
