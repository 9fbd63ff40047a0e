"""The prompts for the agent's model: plain instructions that any chat model can follow.

The material of a step follows as one JSON object in a human message, so that no text of a user or
of a note can look like the end of the instruction.
"""

from __future__ import annotations

import json
from typing import Any

from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage

PLAN = """\
You plan a short piece of research in a collection of notes about running agents durably. Answer the user's
last question with a plan: one sentence, an empty line, and exactly three numbered lines. Line 1 says which
concepts to look up, line 2 which failures, line 3 which practices. Each line must be understandable without
the conversation."""

ASK = """\
You are a researcher with one angle of a larger question. Say in one short sentence what you will look for,
and call the search tool once, with the words to search for and the kind of note of your angle."""

SUMMARISE = """\
Summarise what the notes say about the angle and the question, in at most three sentences. Quote where the
wording matters and cite each note as [its id]. If there are no notes, say so; add nothing that the notes do
not say."""

DRAFT = """\
Write a draft that answers the question from the findings. Begin with one line that says which draft this
is, then an empty line, then one short Markdown section for each finding. Keep the citations. Follow all
feedback of the reviewer; the newest is the last."""

REPORT = """\
Turn the approved draft into the final report in Markdown: the question as its title, a short summary, the
sections of the draft with their citations, and a list of the sources. Change no statement that the reviewer
has approved."""


def prompt(instruction: str, **material: Any) -> list[AnyMessage]:
    """An instruction and the material that it applies to, as messages for a chat model."""
    return [SystemMessage(instruction), HumanMessage(json.dumps(material, ensure_ascii=False))]
