from django.db import migrations, models

from threads.db.triggers import still_only_grows

STATUSES = [("idle", "Idle"), ("busy", "Busy"), ("interrupted", "Interrupted"), ("error", "Error")]


class Migration(migrations.Migration):
    dependencies = [("threads", "0003_thread_ttl")]
    operations = [
        migrations.AddField(
            "thread",
            "resting_status",
            models.CharField(choices=STATUSES, default="idle", db_default="idle", max_length=11),
        ),
        migrations.RunSQL(
            "UPDATE threads_thread SET resting_status = status WHERE status IN ('interrupted', 'error')",
            migrations.RunSQL.noop,
        ),
        migrations.RunPython(
            still_only_grows("threads_thread", "epoch"), still_only_grows("threads_thread", "epoch")
        ),
    ]
