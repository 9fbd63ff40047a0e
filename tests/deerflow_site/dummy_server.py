"""The dummy site on our own server: `python -m tests.deerflow_site.dummy_server [port]`."""

from __future__ import annotations

import sys

from tests.deerflow_site import dummy


def main() -> None:
    site = dummy.application()

    from deerflow_site.server import Server

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    Server(site, site.lifespan, host="127.0.0.1", port=port).run()
    dummy.say("returned")
    sys.exit(site.lifespan.exit_code)


if __name__ == "__main__":
    main()
