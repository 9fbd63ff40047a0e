"""One attempt of one run: how it goes on, the graph's stream, and what is recorded of it."""
