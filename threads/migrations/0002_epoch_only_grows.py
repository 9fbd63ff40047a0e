from django.db import migrations

from threads.db.triggers import only_grows


class Migration(migrations.Migration):
    dependencies = [("threads", "0001_initial")]
    operations = [migrations.RunPython(*only_grows("threads_thread", "epoch"))]
