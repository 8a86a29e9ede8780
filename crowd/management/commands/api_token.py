"""``manage.py api_token``: a key for scripts, for whoever runs the service."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from projects.models import User
from projects.services.accounts import create_api_token


class Command(BaseCommand):
    help = "Print a new API token of an account (by default of the first manager). It is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", default="manager", help="the account's name (default: manager)")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(name=options["name"], is_active=True).first()
        if user is None:
            raise CommandError(f"There is no account {options['name']!r}: make one with `manage.py sign_in_link NAME`.")
        _, secret = create_api_token(user=user, name="made on the command line")
        self.stdout.write(secret)
