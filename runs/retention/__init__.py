"""How long data is kept, and its removal."""
