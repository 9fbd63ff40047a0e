"""Commands of `deerflow` that are not Django's."""
