from django.db import migrations

from threads.db.triggers import only_grows


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial")]
    operations = [
        migrations.RunPython(*only_grows("runs_run", "attempt")),
        migrations.RunPython(*only_grows("runs_run", "epoch")),
    ]
