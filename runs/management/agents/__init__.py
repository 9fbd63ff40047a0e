"""The nouns of `manage.py agents`, each with its verbs: a module for one noun."""
