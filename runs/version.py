"""This product's name and version; the package gets its version from here."""

NAME = "deerflow-django"
VERSION = "0.1.0"
