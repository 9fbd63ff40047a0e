"""A serving process: the ASGI application, its lifespan, and Daphne as its server.

Usable by any site.
"""
