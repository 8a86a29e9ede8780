from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0026_exploration"),
    ]

    operations = [
        migrations.AlterField(
            model_name="project",
            name="acquisition",
            field=models.CharField(
                choices=[
                    ("entropy", "Entropy"),
                    ("margin", "Margin"),
                    ("least_confidence", "Least Confidence"),
                    ("activelab", "Activelab"),
                    ("search", "Search"),
                    ("information_gain", "Information Gain"),
                ],
                default="entropy",
                max_length=20,
            ),
        ),
    ]
