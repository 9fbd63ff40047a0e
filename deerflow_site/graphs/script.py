"""The scripted model's answers: a pure function of the messages, so that a replay repeats them."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from deerflow_site.graphs import prompts
from deerflow_site.graphs.corpus import keywords, stems

Material = dict[str, Any]

QUOTES_PER_SECTION = 2
LONGEST_QUESTION = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its text, and the arguments of its tool call, if any."""

    text: str
    tool_args: dict[str, Any] = field(default_factory=dict)


def answer(messages: Sequence[BaseMessage]) -> Reply:
    """The scripted model's answer to these messages, chosen by their first instruction."""
    instruction = messages[0].text if messages and isinstance(messages[0], SystemMessage) else ""
    texts = [
        message.text for message in messages if isinstance(message, HumanMessage) and message.text.strip()
    ]
    asked = texts[-1] if texts else ""
    if instruction == prompts.PLAN:
        return Reply(plan(asked))
    if instruction in STEPS:
        return STEPS[instruction](json.loads(asked))
    return Reply(f"I am a scripted model and know one task only, research. You wrote: {quoted(asked)}")


def quoted(text: str) -> str:
    return f"“{textwrap.shorten(text, LONGEST_QUESTION, placeholder=' …')}”"


def topic(question: str) -> str:
    return ", ".join(keywords(question)[:5]) or quoted(question)


def plan(question: str) -> str:
    about = topic(question)
    return (
        f"To answer {quoted(question)} I will look at three things.\n\n"
        f"1. Concepts: what the notes explain about {about}\n"
        f"2. Failures: what goes wrong around {about}\n"
        f"3. Practices: what to do about {about}"
    )


def ask(material: Material) -> Reply:
    words = " ".join(keywords(material["question"])) or material["question"]
    kind = material["kind"]
    return Reply(f"I will search the {kind} for {quoted(words)}.", {"query": words, "kind": kind})


def summarise(material: Material) -> Reply:
    notes = material["notes"]
    if not notes:
        return Reply(f"The collection has no note on this angle of {quoted(material['question'])}.")
    first, *others = notes
    text = f"The note “{first['title']}” fits best: {first['quote']} [{first['id']}]"
    if others:
        text += " See also " + " and ".join(f"“{note['title']}” [{note['id']}]" for note in others) + "."
    return Reply(text)


def draft(material: Material) -> Reply:
    feedback: list[str] = material["feedback"]
    opening = f"Draft {len(feedback) + 1} for {quoted(material['question'])}"
    if feedback:
        opening += f", revised after the review: {quoted(feedback[-1])}"
    sections = [section(finding, feedback) for finding in material["findings"]]
    return Reply("\n\n".join([f"{opening}.", *sections]))


def section(finding: Material, feedback: list[str]) -> str:
    """A finding as Markdown. The feedback determines the order and the number of the quotes."""
    wanted = set(stems(" ".join(feedback)))
    sources = sorted(
        finding["sources"],
        key=lambda source: -len(wanted.intersection(stems(f"{source['title']} {source['quote']}"))),
    )
    lines = [f"- {source['quote']} [{source['id']}]" for source in sources[: quotes_wanted(feedback)]]
    return "\n".join([f"### {finding['angle']}", "", *(lines or [finding["summary"]])])


def quotes_wanted(feedback: list[str]) -> int:
    """The number of quotes of a section: one if the reviewer wants less, three if more.

    The last feedback counts.
    """
    for text in reversed(feedback):
        if re.search(r"\b(short|brief|concise|less|fewer)", text.lower()):
            return 1
        if re.search(r"\b(long|more|detail|expand)", text.lower()):
            return 3
    return QUOTES_PER_SECTION


def report(material: Material) -> Reply:
    title = textwrap.shorten(material["question"], LONGEST_QUESTION, placeholder=" …")
    _, _, sections = material["draft"].partition("\n\n")
    ranked = sorted(material["sources"], key=lambda source: (-source["score"], source["id"]))
    if not ranked:
        short, listed = "The collection has no note that answers this question.", "None."
    else:
        short = f"**In short:** {ranked[0]['quote']} [{ranked[0]['id']}]"
        cited = [source for source in ranked if f"[{source['id']}]" in short + sections]
        listed = "\n".join(f"- [{source['id']}] {source['title']}" for source in cited)
    return Reply(f"# {title}\n\n{short}\n\n{sections}\n\n## Sources\n\n{listed}")


STEPS: dict[str, Callable[[Material], Reply]] = {
    prompts.ASK: ask,
    prompts.SUMMARISE: summarise,
    prompts.DRAFT: draft,
    prompts.REPORT: report,
}
