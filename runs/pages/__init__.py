"""Pages for people: the chat, and how they log in."""
