import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0004_resting_status")]
    operations = [
        migrations.CreateModel(
            name="StateEdit",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "thread_id", "epoch", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "thread",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="edits",
                        to="threads.thread",
                    ),
                ),
                ("epoch", models.PositiveBigIntegerField()),
                ("checkpoint_id", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField()),
            ],
        ),
    ]
