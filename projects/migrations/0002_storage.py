from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("projects", "0001_initial")]

    operations = [
        # Room on each page for the next version of a hot row, so that counting a vote is a HOT update.
        migrations.RunSQL(
            "ALTER TABLE projects_taskstate SET (fillfactor = 70); ALTER TABLE projects_taskposterior SET (fillfactor = 70)",
            migrations.RunSQL.noop,
        ),
    ]
