from __future__ import annotations

import pytest

from deerflow_site.graphs.corpus import Collection, Note, best_sentence, bundled, keywords, stem, stems
from deerflow_site.graphs.researcher import search_documents
from deerflow_site.graphs.state import KINDS


def note(id: str, text: str, *, title: str = "Untitled", kind: str = "concepts") -> Note:
    return Note(id=id, kind=kind, title=title, text=text)


def found(collection: Collection, query: str, **options: str) -> list[str]:
    return [hit.note.id for hit in collection.search(query, **options)]  # type: ignore[arg-type]


def test_every_bundled_note_is_complete() -> None:
    notes = bundled().notes
    assert len(notes) >= 25
    assert len({entry.id for entry in notes}) == len(notes)
    for entry in notes:
        assert entry.kind in KINDS
        assert entry.title and not entry.title.startswith("#")
        assert 40 < len(entry.text.split()) < 120


def test_a_note_is_found_by_its_own_title() -> None:
    for entry in bundled().notes:
        assert found(bundled(), entry.title, kind=entry.kind)[0] == entry.id


def test_rare_words_count_more_than_common_ones() -> None:
    common = [note(f"common-{n}", "A worker runs the queue.") for n in range(5)]
    assert found(Collection([*common, note("rare", "A worker holds an epoch.")]), "worker epoch")[0] == "rare"


def test_a_word_in_the_title_outweighs_one_in_the_text() -> None:
    notes = [note("text", "About a lease and more."), note("title", "About this and more.", title="Lease")]
    assert found(Collection(notes), "lease") == ["title", "text"]


def test_only_matching_notes_of_the_kind_are_found() -> None:
    notes = [note("a", "lease"), note("b", "lease", kind="failures"), note("c", "queue", kind="failures")]
    assert found(Collection(notes), "lease", kind="failures") == ["b"]
    assert found(Collection(notes), "websocket") == []
    assert found(Collection([]), "lease") == []


def test_equal_scores_are_ordered_by_id() -> None:
    notes = [note(id, "lease") for id in ("c", "a", "b")]
    assert found(Collection(notes), "lease") == ["a", "b", "c"]


@pytest.mark.parametrize(
    "words", ["lease leases leased", "queue queues queued", "retry retries retried", "crash crashes crashed"]
)
def test_forms_of_a_word_share_a_stem(words: str) -> None:
    assert len({stem(word) for word in words.split()}) == 1


def test_keywords_leave_out_what_carries_no_meaning() -> None:
    assert keywords("How do the Leases, and the leases of a worker, work?") == ["leases", "worker"]


def test_the_best_sentence_shares_most_with_the_query() -> None:
    text = "A queue waits. A lease ends when a worker dies! Leases need a clock."
    assert best_sentence(text, stems("dead worker lease")) == "A lease ends when a worker dies!"
    assert best_sentence("", stems("lease")) == ""


@pytest.mark.asyncio
async def test_wrong_arguments_are_an_answer_to_the_model_and_not_an_error() -> None:
    args = {"query": "lease", "kind": "poems"}
    call = {"type": "tool_call", "id": "1", "name": "search_documents", "args": args}
    assert (await search_documents.ainvoke(call)).status == "error"
