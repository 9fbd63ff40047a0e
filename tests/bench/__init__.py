"""`python -m tests.bench`: what the server costs, against a bare LangGraph loop on the same machine."""
