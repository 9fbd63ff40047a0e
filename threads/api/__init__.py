"""The HTTP interface to threads: a router that the site's API includes."""
