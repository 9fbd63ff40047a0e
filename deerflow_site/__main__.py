"""`python -m deerflow_site`: the same as `deerflow`."""

from deerflow_site.commands.line import main

if __name__ == "__main__":
    main()
