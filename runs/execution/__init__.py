"""One attempt of one run: how it resumes, the graph's stream, and what is recorded."""
