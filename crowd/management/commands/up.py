import os
import sys
from argparse import SUPPRESS
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from crowd.supervisor.supervisor import Supervisor


class Command(BaseCommand):
    help = "Start everything: database, schema, web server, worker and beat. Ctrl-C stops everything."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
        parser.add_argument("--port", type=int, help="port of the web server (default: 8000 or, if taken, any; 0: any)")
        # For programs that start a stack of their own: crowd.supervisor.stack.
        parser.add_argument("--leave-with-parent", action="store_true", help=SUPPRESS)
        parser.add_argument("--throw-away", action="store_true", help=SUPPRESS)

    def handle(self, **options: Any) -> None:
        supervisor = Supervisor(
            host=options["host"],
            port=options["port"],
            leave_with_parent=options["leave_with_parent"],
            throw_away=options["throw_away"],
        )
        code = supervisor.run()
        sys.stdout.flush()
        # Everything is stopped and written. Taking the interpreter apart, with Django in it, would be
        # the slowest step of a Ctrl-C on a busy machine.
        os._exit(code)
