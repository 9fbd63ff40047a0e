"""Authentication and authorisation. Only here does a request or a websocket become a principal.

The entry points are `requests.principal_of` and `sockets.principal_of_scope`.
`auth_file.authorization.authorize` calls the handlers of a site's Auth file. Only the querysets'
`for_principal` decides which rows a principal sees.
"""
