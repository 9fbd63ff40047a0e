"""`http` of a project's langgraph.json: its own ASGI application around and beside the site."""
