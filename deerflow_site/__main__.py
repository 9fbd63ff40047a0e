"""`python -m deerflow_site`: the same as `deerflow`."""

from deerflow_site.command_line import main

if __name__ == "__main__":
    main()
