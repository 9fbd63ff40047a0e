"""A process that serves: the ASGI application, its life, and Daphne around it. Usable by any site."""
