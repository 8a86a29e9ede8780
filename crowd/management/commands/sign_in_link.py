from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from projects.services.accounts import make_sign_in_link


class Command(BaseCommand):
    help = "Print a link that signs somebody in once. Whoever has it is that person: pass it on privately."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "name", nargs="?", default="manager", help="whom; made as a manager if new (default: manager)"
        )

    def handle(self, **options: Any) -> None:
        self.stdout.write(make_sign_in_link(username=options["name"], base_url=settings.PUBLIC_URL))
