"""``manage.py after_restore``: what a database restored from a backup needs before people come back."""

from typing import Any

from django.core.management.base import BaseCommand

from aggregation.services.consensus import republish_after_restore


class Command(BaseCommand):
    help = "Publish all consensus again, after a dump was restored into another database server."

    def handle(self, *args: Any, **options: Any) -> None:
        republish_after_restore()
        self.stdout.write("All consensus is published again. Consumers start their feed without a cursor.")
