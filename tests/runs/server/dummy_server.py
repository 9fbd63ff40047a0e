"""The dummy site on our own server: `python -m tests.runs.server.dummy_server [port]`."""

from __future__ import annotations

import os
import sys

from tests.runs.server import dummy


def main() -> None:
    site = dummy.application()

    from runs.server import channels
    from runs.server.daphne import Server

    channels.ARRIVAL = float(os.environ.get("ARRIVAL", channels.ARRIVAL))
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    age = float(os.environ.get("SOCKET_AGE", "86400"))
    Server(site, site.lifespan, host="127.0.0.1", port=port, websocket_timeout=age).run()
    dummy.say("returned")
    sys.exit(site.lifespan.exit_code)


if __name__ == "__main__":
    main()
