from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0011_store_by_place")]
    operations = [migrations.AddField("thread", "refreshes", models.SmallIntegerField(null=True))]
