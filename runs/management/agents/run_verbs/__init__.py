"""The verbs of `agents runs` that do more than list and show."""
