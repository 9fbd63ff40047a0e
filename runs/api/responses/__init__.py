"""Responses of the API: errors, locations, and responses that last as long as a run."""
