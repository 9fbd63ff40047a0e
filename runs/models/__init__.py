"""Tables: runs, and what executes, schedules and describes them."""

from runs.models.assistant import Assistant
from runs.models.assistant_version import AssistantVersion
from runs.models.credential import ApiKey, AuthIdentity, SocketTicket
from runs.models.cron import Cron
from runs.models.event import DeletedRun, RunEvent
from runs.models.history import Attempt, RunAction
from runs.models.idempotency import IdempotencyKey
from runs.models.operators.bulk import BulkAction, BulkKind, BulkState, BulkTarget
from runs.models.operators.erasure import Erasure
from runs.models.operators.overview import Overview
from runs.models.operators.saved_view import ListColumns, SavedView
from runs.models.operators.site_action import SiteAction
from runs.models.operators.waiting import Waiting
from runs.models.queue import PausedQueue
from runs.models.run import CancelAction, Durability, MultitaskStrategy, Run, RunStatus
from runs.models.webhook import DeliveryState, WebhookDelivery
from runs.models.worker import Worker

__all__ = [
    "ApiKey",
    "Assistant",
    "AssistantVersion",
    "Attempt",
    "AuthIdentity",
    "BulkAction",
    "BulkKind",
    "BulkState",
    "BulkTarget",
    "CancelAction",
    "Cron",
    "DeletedRun",
    "DeliveryState",
    "Durability",
    "Erasure",
    "IdempotencyKey",
    "ListColumns",
    "MultitaskStrategy",
    "Overview",
    "PausedQueue",
    "Run",
    "RunAction",
    "RunEvent",
    "RunStatus",
    "SavedView",
    "SiteAction",
    "SocketTicket",
    "Waiting",
    "WebhookDelivery",
    "Worker",
]
