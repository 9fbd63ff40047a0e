from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0008_ordered_index")]
    operations = [
        migrations.AddField("thread", "stale_since", models.DateTimeField(null=True)),
        migrations.AddIndex(
            "thread",
            models.Index(
                fields=["stale_since"],
                condition=models.Q(stale_since__isnull=False),
                name="threads_stale",
            ),
        ),
    ]
