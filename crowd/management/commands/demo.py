import logging
import os
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

#: Of another stack or a production service: the demo starts one of its own.
NOT_OURS = ("DATABASE_URL", "BROKER_URL", "CROWD_SECRET_KEY", "CROWD_PUBLIC_URL")


class Command(BaseCommand):
    help = (
        "Play a labelling campaign through the REST API on a throw-away stack: a real crowd's votes, then the loop of "
        "people, label model and learner. Ends with status 0 if the loop really ran."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
        parser.add_argument(
            "--seeds", type=positive, default=1, metavar="N", help="play act 2 with N seeds (default: 1)"
        )
        parser.add_argument("--serve", action="store_true", help="leave it running, with a sign-in link, until Ctrl-C")
        parser.add_argument(
            "--votes",
            type=Path,
            metavar="FILE",
            help="in place of act 1, import votes: CSV task,worker,label (or gzip)",
        )
        parser.add_argument("--gold", type=Path, metavar="FILE", help="their true labels: CSV task,label (or gzip)")
        parser.add_argument("--port", type=int, default=0, help="port of the web server (default: any free one)")

    def handle(self, **options: Any) -> None:
        import httpx

        from crowd.demo.client import NothingHappened, Refused
        from crowd.demo.play import Wishes, play
        from crowd.demo.recorded import BadFile, read_crowd
        from crowd.supervisor.process import StartFailed

        votes, gold, json_file = options["votes"], options["gold"], options["json"]
        if gold and not votes:
            raise CommandError("--gold says what is true of --votes: give both")
        if json_file and not json_file.absolute().parent.is_dir():
            raise CommandError(f"--json: there is no directory {json_file.absolute().parent}")
        logging.getLogger("httpx").setLevel(logging.WARNING)  # or it reports every request
        for name in NOT_OURS:
            os.environ.pop(name, None)
        try:
            wishes = Wishes(
                seeds=options["seeds"],
                port=options["port"],
                serve=options["serve"],
                json_file=json_file,
                recorded=read_crowd(votes, gold) if votes else None,
                recorded_name=votes.name if votes else "",
            )
            problems = play(wishes, self.say)
        except (BadFile, StartFailed, Refused, NothingHappened, httpx.HTTPError) as error:
            raise CommandError(str(error) or repr(error)) from error
        except KeyboardInterrupt:
            self.say("stopped")
            sys.exit(130)
        if problems:
            sys.exit(1)

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError("must be a whole number from 1")
    return int(text)
