"""`deerflow dev`: serves a project, and reloads it when its files change, without losing a run.

A supervisor owns the listening socket and watches the files. A server process executes the project. A spare process
has imported all libraries and waits. After a change the spare imports the new code while the old process still
serves; only then the old one drains and the spare takes over. Clients wait in the socket's queue meanwhile.
"""
