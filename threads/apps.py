from django.apps import AppConfig


class ThreadsConfig(AppConfig):
    """Conversations and their state."""

    name = "threads"
    default_auto_field = "django.db.models.BigAutoField"
