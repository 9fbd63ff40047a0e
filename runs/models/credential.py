"""API keys, tickets of websockets, and the users whom a site's Auth file names."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from threads.db.fields import TextJSONField
from threads.db.ids import new_id


class ApiKey(models.Model):
    """The credential of a program. The key itself is shown once, when it is created, and not
    stored.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100, blank=True, default="", help_text="What it is for.")
    #: The key's first characters, so that people can tell keys apart.
    prefix = models.CharField(max_length=16)
    #: SHA-256 of the key, in hexadecimal digits. It needs no salt, because keys are random.
    digest = models.CharField(max_length=64, unique=True)
    scopes = TextJSONField(default=list)
    created_at = models.DateTimeField()
    #: None for never.
    expires_at = models.DateTimeField(null=True, blank=True)
    #: Accurate to `runs.identity.keys.TOUCH`.
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})" if self.name else f"{self.prefix}…"


class SocketTicket(models.Model):
    """Lets a client open one websocket on one thread. The ticket itself is not stored."""

    #: SHA-256 of the ticket, in hexadecimal digits.
    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    #: No foreign key: a client may open the socket before it creates the thread.
    thread_id = models.UUIDField()
    #: The credentials that the ticket stands for (`runs.identity.tickets`); empty once it was used.
    sealed = models.BinaryField()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"a ticket until {self.expires_at:%H:%M:%S}"


class AuthIdentity(models.Model):
    """Maps a user's identity in the Auth file to a user of this site."""

    identity = models.CharField(max_length=255, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "auth identities"

    def __str__(self) -> str:
        return self.identity
