"""The versions of assistants, kept for as long as the assistant exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from threads.db.fields import TextJSONField

if TYPE_CHECKING:
    from runs.models.assistant import Assistant

#: The columns of a version's definition; an assistant has the same columns, with the values of its present
#: version.
DEFINITION = ("graph_id", "name", "description", "config", "context", "metadata")


class AssistantVersion(models.Model):
    """One version of an assistant. It never changes; the assistant's `version` is the present one."""

    assistant = models.ForeignKey(
        "runs.Assistant", on_delete=models.CASCADE, related_name="versions", db_index=False
    )
    version = models.PositiveIntegerField()
    graph_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    description = models.TextField(null=True)
    config = TextJSONField(default=dict)
    context = TextJSONField(default=dict)
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["assistant", "version"], name="runs_one_assistant_per_version")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @classmethod
    def of(cls, assistant: Assistant) -> AssistantVersion:
        """A version with the assistant's present values."""
        said = {column: getattr(assistant, column) for column in DEFINITION}
        return cls(assistant=assistant, version=assistant.version, created_at=assistant.updated_at, **said)
