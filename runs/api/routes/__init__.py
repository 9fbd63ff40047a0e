"""The API's routes, one module for each part of it."""
