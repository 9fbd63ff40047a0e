"""Items of the store in the admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.support.admin_site import page, sign_in, staff
from tests.support.rows import make_user
from threads.db import clock
from threads.db.namespaces import encode
from threads.models import StoreItem

ITEMS = "/admin/threads/storeitem/"


@pytest.fixture
def viewer(db: None) -> Client:
    return staff("view_storeitem", "view_run_payload")


def make_item(*namespace: str, key: str = "k", user: Any = None, **fields: Any) -> StoreItem:
    now = clock.now()
    owner = user or make_user()
    return StoreItem.objects.create(
        user=owner, namespace=encode(namespace), key=key, created_at=now, updated_at=now, **fields
    )


def listed(client: Client, **query: str) -> list[Any]:
    response = client.get(ITEMS, query)
    assert response.status_code == 200
    return [item.pk for item in response.context["cl"].result_list]


def test_items_are_found_by_whole_labels_of_their_namespace_and_by_user(viewer: Client) -> None:
    first, deep, other = make_item("users", "7"), make_item("users", "7", "facts"), make_item("users", "77")
    assert listed(viewer) == [other.pk, deep.pk, first.pk]
    assert listed(viewer, q="users.7") == [deep.pk, first.pk]
    assert listed(viewer, q="users.7.facts.") == [deep.pk]
    assert listed(viewer, q=other.user.username) == [other.pk]
    for nothing in ("user", "7", "%", ".."):
        assert listed(viewer, q=nothing) == [], nothing


def test_items_are_filtered_by_their_expiry(viewer: Client) -> None:
    hour = timedelta(hours=1)
    kept = make_item("a")
    later = make_item("b", expires_at=clock.now() + hour, ttl_minutes=60)
    over = make_item("c", expires_at=clock.now() - hour, ttl_minutes=60)
    assert listed(viewer, expiry="never") == [kept.pk]
    assert listed(viewer, expiry="later") == [later.pk]
    assert listed(viewer, expiry="over") == [over.pk]
    assert len(listed(viewer, expiry="nonsense")) == 3


def test_the_list_takes_as_many_queries_for_many_items_and_reads_no_values(viewer: Client) -> None:
    counts = []
    for rows in (2, 20):
        for _ in range(rows):
            make_item("a", value={"x": 1}, vectors=b"1234")
        with CaptureQueriesContext(connection) as queries:
            viewer.get(ITEMS)
        counts.append(len(queries))
    statements = " ".join(query["sql"] for query in queries)
    assert counts[0] == counts[1] <= 6
    assert '"value"' not in statements and '"vectors"' not in statements


def test_an_item_s_page_shows_its_value_and_escapes_it(viewer: Client) -> None:
    item = make_item("users", "<7>", key="<b>key", value={"note": "<script>alert(1)</script>"})
    html = viewer.get(page(item)).content.decode()
    assert "users.&lt;7&gt;" in html and "&lt;b&gt;key" in html
    assert "&lt;script&gt;" in html and "<script>alert" not in html


def test_nobody_adds_changes_or_deletes_items(db: None) -> None:
    item, root = make_item("a"), sign_in(is_superuser=True)
    assert root.get(f"{ITEMS}add/").status_code == 403
    assert root.get(f"{ITEMS}{item.pk}/delete/").status_code == 403
    assert root.post(page(item), {"key": "x"}).status_code == 403
    assert staff("view_thread").get(ITEMS).status_code == 403
    assert StoreItem.objects.filter(pk=item.pk).exists()
