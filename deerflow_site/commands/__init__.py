"""The command line of `deerflow`, and its commands that are not Django's."""
