from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0002_epoch_only_grows")]
    operations = [
        migrations.AddField("thread", "ttl_minutes", models.FloatField(null=True)),
        migrations.AddField(
            "thread",
            "ttl_strategy",
            models.CharField(
                choices=[("delete", "Delete"), ("keep_latest", "Keep Latest")], max_length=11, null=True
            ),
        ),
        migrations.AddField("thread", "expires_at", models.DateTimeField(null=True)),
        migrations.AddIndex(
            "thread",
            models.Index(
                fields=["expires_at"],
                condition=models.Q(("expires_at__isnull", False)),
                name="threads_expiring",
            ),
        ),
    ]
