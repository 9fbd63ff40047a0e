"""The dummy site on our own server: `python -m tests.runs.server.dummy_server [port]`."""

from __future__ import annotations

import sys

from tests.runs.server import dummy


def main() -> None:
    site = dummy.application()

    from runs.server.daphne import Server

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    Server(site, site.lifespan, host="127.0.0.1", port=port).run()
    dummy.say("returned")
    sys.exit(site.lifespan.exit_code)


if __name__ == "__main__":
    main()
