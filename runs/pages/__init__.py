"""Pages for people: the chat and the login."""
