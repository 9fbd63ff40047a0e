"""Who asks, what they may, and how much: the one place where a request or a websocket becomes a principal.

`requests.principal_of` and `sockets.principal_of_scope` are the ways in; `runs.identity.auth_file.authorization.authorize` asks the handlers of
a site's Auth file. Whose rows a principal sees is the querysets' `for_principal`, and nobody else's.
"""
