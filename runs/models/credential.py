"""API keys, and the users whom a site's Auth file names."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from threads.db.fields import TextJSONField
from threads.db.ids import new_id


class ApiKey(models.Model):
    """What a program shows instead of logging in. The key itself is shown once, when it is made, and kept nowhere."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100, blank=True, default="", help_text="What it is for.")
    #: The key's first characters, by which people tell keys apart.
    prefix = models.CharField(max_length=16)
    #: SHA-256 of the key, in hexadecimal digits. A key is random enough to need no salt.
    digest = models.CharField(max_length=64, unique=True)
    scopes = TextJSONField(default=list)
    created_at = models.DateTimeField()
    #: None for never.
    expires_at = models.DateTimeField(null=True, blank=True)
    #: Give or take `runs.identity.keys.TOUCH`.
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})" if self.name else f"{self.prefix}…"


class AuthIdentity(models.Model):
    """The user of this site as which somebody acts whom the Auth file knows by another name."""

    identity = models.CharField(max_length=255, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "auth identities"

    def __str__(self) -> str:
        return self.identity
