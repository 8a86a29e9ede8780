from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0029_target_accuracy"),
    ]

    operations = [
        migrations.AddField(
            model_name="livemodel",
            name="teaching",
            field=models.FloatField(db_default=0.0, default=0.0),
        ),
        migrations.AlterField(
            model_name="project",
            name="acquisition",
            field=models.CharField(
                choices=[
                    ("entropy", "Entropy"),
                    ("margin", "Margin"),
                    ("least_confidence", "Least Confidence"),
                    ("activelab", "Activelab"),
                    ("vote_entropy", "Vote Entropy"),
                    ("new_or_relabel", "New Or Relabel"),
                    ("search", "Search"),
                    ("information_gain", "Information Gain"),
                ],
                default="entropy",
                max_length=20,
            ),
        ),
    ]
