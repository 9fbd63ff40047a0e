"""What people keep of the admin's list of runs."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from threads.db.ids import new_id


class SavedView(models.Model):
    """Filters, search and columns of the list of runs under a name."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    #: Whose it is. The constraint's index begins with this column.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    name = models.CharField(max_length=80)
    #: The query string of the list, without the question mark.
    query = models.CharField(max_length=2000, blank=True)
    #: Whether everybody who sees the list sees it.
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="runs_view_of_user")]

    def __str__(self) -> str:
        return self.name


class ListColumns(models.Model):
    """The columns of the list of runs that a person has chosen."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    #: Their names, in the list's order.
    names = models.JSONField(default=list)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Columns of {self.user_id}"
