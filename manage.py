#!/usr/bin/env python
"""Run a management command of the site."""

from deerflow_site.commands.line import manage

if __name__ == "__main__":
    manage()
