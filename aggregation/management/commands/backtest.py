import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aggregation.management.commands.aggregate import mapping


class Command(BaseCommand):
    help = (
        "Replay recorded votes under a policy: what accuracy it buys for how many of the votes, before any is paid. "
        "VOTES has the columns task, worker, label; a policy is a YAML file of project settings. See docs/offline.md."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("votes", metavar="VOTES", help='the votes; "-" reads CSV or JSON lines from standard input')
        parser.add_argument("--policy", metavar="FILE", default="default", help='settings as YAML, or "default"')
        parser.add_argument("--compare", metavar="FILE", nargs="+", default=[], help="other policies beside it")
        parser.add_argument("--gold", metavar="FILE", help="known answers, to score by: columns task, label")
        data = parser.add_mutually_exclusive_group()
        data.add_argument("--items", metavar="FILE", help="the tasks' data for a learner: column task, and others")
        data.add_argument("--features", metavar="FILE", help="the same as numbers: .npz with the arrays task and X")
        parser.add_argument("--columns", metavar="task=NAME,…", help="what task, worker and label are called in VOTES")
        parser.add_argument("--gold-columns", metavar="task=NAME,…", help="what task and label are called in --gold")
        parser.add_argument("--seeds", metavar="N", type=int, default=20, help="replays of each policy (default: 20)")
        parser.add_argument("--reach", metavar="A,B", default="0.8,0.9,0.95", help="accuracies whose cost is told")
        parser.add_argument("--out", metavar="FILE", help="write a report: .json for scripts, .html for people")
        parser.add_argument("--json", metavar="FILE", help="write the figures as JSON, beside --out")

    def handle(self, **options: Any) -> None:
        from aggregation.offline.backtest import Wishes, backtest
        from aggregation.offline.files import BadFile

        if options["seeds"] < 1:
            raise CommandError(f"--seeds {options['seeds']}: expected at least 1")
        wishes = Wishes(
            votes=options["votes"],
            policies=[options["policy"], *options["compare"]],
            gold=options["gold"],
            items=options["items"],
            features=options["features"],
            columns=mapping("--columns", options["columns"], ("task", "worker", "label")),
            gold_columns=mapping("--gold-columns", options["gold_columns"], ("task", "label")),
            seeds=options["seeds"],
            reach=accuracies(options["reach"]),
            out=options["out"],
            json=options["json"],
        )
        try:
            told = backtest(wishes)
        except BadFile as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stderr.write("stopped; nothing was written")
            sys.exit(130)
        for warning in told.warnings:
            self.stderr.write(f"Warning: {warning}")
        self.stdout.write(told.summary)


def accuracies(text: str) -> list[float]:
    """Numbers between 0 and 1, separated by commas."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < each <= 1 for each in found):
        raise CommandError(f"--reach {text}: expected numbers above 0 and up to 1, separated by commas")
    return found
