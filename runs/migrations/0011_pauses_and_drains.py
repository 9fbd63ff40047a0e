"""Paused queues, and drains that operators ask for. Old code goes on beside it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0010_run_history"),
    ]

    operations = [
        migrations.CreateModel(
            name="PausedQueue",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("paused_at", models.DateTimeField()),
                ("reason", models.CharField(blank=True, default="", max_length=255)),
            ],
        ),
        migrations.AddField(
            model_name="worker",
            name="drain_requested_at",
            field=models.DateTimeField(null=True),
        ),
    ]
