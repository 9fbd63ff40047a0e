import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import threads.db.fields
import threads.models.item


class Migration(migrations.Migration):
    dependencies = [
        ("threads", "0006_metadata_index"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.CreateModel(
            name="StoreItem",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("namespace", threads.models.item.BytewiseTextField()),
                ("key", threads.models.item.BytewiseTextField()),
                ("value", threads.db.fields.TextJSONField(default=dict)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("ttl_minutes", models.FloatField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
                ("embedding", models.CharField(default="", max_length=255)),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("vectors", models.BinaryField(default=b"")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["user", "-updated_at", "-id"], name="store_items_by_age"),
                    models.Index(
                        condition=models.Q(("expires_at__isnull", False)),
                        fields=["expires_at"],
                        name="store_items_expiring",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "namespace", "key"), name="store_items_by_key")
                ],
            },
        ),
    ]
