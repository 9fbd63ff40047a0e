"""Assistants."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from runs.models.querysets import AssistantQuerySet
from threads.db.fields import TextJSONField
from threads.db.ids import new_id


class Assistant(models.Model):
    """A graph with a configuration. Each graph has one system assistant, which belongs to no user."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    graph_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255, default="Untitled")
    description = models.TextField(null=True)
    config = TextJSONField(default=dict)
    context = TextJSONField(default=dict)
    metadata = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    #: When it was deleted and hidden; its runs still refer to it (`runs.retention.assistants`).
    deleted_at = models.DateTimeField(null=True)

    objects = AssistantQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
