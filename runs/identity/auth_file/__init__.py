"""A site's Auth file: what it says of a request, and what its handlers allow."""
