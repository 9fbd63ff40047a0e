"""A site's Auth file: authentication by it, and authorisation by its handlers."""
