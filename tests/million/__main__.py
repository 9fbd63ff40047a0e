"""Fill a temporary PostgreSQL with many runs, and measure each page of the admin.

The exit code is 1 if the 95th percentile of a page is above its bound.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import UTC, datetime

from tests.support.postgres import server


def say(line: str) -> None:
    """Print progress, separate from the result."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.million", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000, help="with ten events each (1000000)")
    parser.add_argument("--samples", type=int, default=30, help="requests of each page (30)")
    parser.add_argument("--only", default="", help="pages whose title contains this")
    parser.add_argument("--plans", action="store_true", help="explain each page's slowest statement")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    if "DATABASE_URL" not in os.environ:
        # PostgreSQL with the memory of a small server; durability does not matter to what is read.
        with server(fsync=False) as running:
            os.environ["DATABASE_URL"] = running.url
            return measured(chosen)
    return measured(chosen)


def measured(chosen: argparse.Namespace) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test.utils import setup_test_environment

    from runs.models import Run
    from tests.million.pages import BOUND, explained, measure, pages
    from tests.million.rows import Size, fill
    from tests.support.admin_site import sign_in

    setup_test_environment(debug=False)
    call_command("migrate", verbosity=0)
    if not Run.objects.exists():
        fill(Size(chosen.runs, datetime.now(UTC)), say)
    get_user_model().objects.filter(username__startswith="person-").delete()
    client = sign_in(is_superuser=True)
    slow = 0
    print(f"{'page':44} {'p50 ms':>8} {'p95 ms':>8} {'stmts':>6} {'slowest ms':>10}")
    for page in pages():
        if chosen.only not in page.title:
            continue
        found = measure(client, page, chosen.samples)
        slow += not found.within
        mark = "" if found.within else f"  > {BOUND:.0f}"
        print(
            f"{page.title:44} {found.p50:8.1f} {found.p95:8.1f} {found.statements:6} "
            f"{found.slowest_took:10.1f}{mark}",
            flush=True,
        )
        if chosen.plans or not found.within:
            print(f"    {found.slowest[:2000]}")
            print("\n".join(f"    {line}" for line in explained(found.slowest)), flush=True)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
