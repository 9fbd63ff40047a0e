"""Answers of the API: errors, places, and responses that go on while a run does."""
