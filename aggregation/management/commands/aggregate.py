import csv
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

DEFAULT = "default"


class Command(BaseCommand):
    help = (
        "Turn a file of votes into consensus labels, without database or server. VOTES has the columns task, worker, "
        "label: CSV, JSON lines or Parquet, each with or without .gz. See docs/offline.md."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("votes", metavar="VOTES", help='the votes; "-" reads CSV or JSON lines from standard input')
        parser.add_argument("--gold", metavar="FILE", help="known answers: columns task, label")
        parser.add_argument("--method", default=DEFAULT, help="label model; a wrong name lists them all")
        parser.add_argument(
            "--ordinal", action="store_true", help="labels have an order: numbers by value, or --labels"
        )
        parser.add_argument("--labels", metavar="LOW,…,HIGH", help="all labels in their order, as one line of CSV")
        parser.add_argument("--columns", metavar="task=NAME,…", help="what task, worker and label are called in VOTES")
        parser.add_argument("--gold-columns", metavar="task=NAME,…", help="what task and label are called in --gold")
        parser.add_argument("--out", metavar="FILE", help="write consensus here: .csv or .parquet, or with .gz")
        parser.add_argument("--annotators", metavar="FILE", help="write annotators and their skill: .csv or .parquet")
        parser.add_argument("--report", metavar="FILE", help="write a report: .json for scripts, .html for people")

    def handle(self, **options: Any) -> None:
        from aggregation.offline.files import BadFile
        from aggregation.offline.main import Wishes, aggregate

        try:
            wishes = Wishes(
                votes=options["votes"],
                gold=options["gold"],
                method=None if options["method"] == DEFAULT else options["method"],
                ordinal=options["ordinal"],
                labels=one_line(options["labels"]),
                columns=mapping("--columns", options["columns"], ("task", "worker", "label")),
                gold_columns=mapping("--gold-columns", options["gold_columns"], ("task", "label")),
                out=options["out"],
                annotators=options["annotators"],
                report=options["report"],
            )
            told = aggregate(wishes)
        except BadFile as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stderr.write("stopped; nothing was written")
            sys.exit(130)
        for warning in told.warnings:
            self.stderr.write(f"Warning: {warning}")
        self.stdout.write(told.summary)


def one_line(text: str | None) -> list[str] | None:
    """The cells of a line of CSV."""
    if text is None:
        return None
    labels = next(csv.reader([text], strict=True), [])
    if len(set(labels)) != len(labels) or not all(label.strip() for label in labels) or not labels:
        raise CommandError(f"--labels {text}: expected different labels separated by commas")
    return labels


def mapping(option: str, text: str | None, words: tuple[str, ...]) -> dict[str, str]:
    """{"task": "item"} of "task=item"."""
    pairs = [part.partition("=") for part in text.split(",")] if text else []
    for word, _, name in pairs:
        if word not in words or not name:
            raise CommandError(
                f"{option} {text}: expected {','.join(f'{word}=NAME' for word in words)} or some of these"
            )
    return {word: name for word, _, name in pairs}
