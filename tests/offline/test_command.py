"""`manage.py aggregate` as people run it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.core.management.base import CommandError

from tests.offline.support import (
    BLUEBIRD,
    HEADER,
    ROOT,
    SMALL,
    SMALL_GOLD,
    aggregate,
    aggregate_here,
    file,
    rows_of,
    votes_csv,
)

VOTES, GOLD = BLUEBIRD / "votes.csv", BLUEBIRD / "gold.csv"


def test_it_writes_consensus_annotators_and_report_of_a_real_crowd(tmp_path: Path) -> None:
    out, people, report = tmp_path / "consensus.csv", tmp_path / "people.csv", tmp_path / "report.json"
    done = aggregate(VOTES, "--gold", GOLD, "--out", out, "--annotators", people, "--report", report)
    assert (done.returncode, done.stderr) == (0, "")

    rows = rows_of(out)
    truth = {row["task"]: row["label"] for row in rows_of(GOLD)}
    assert {row["task"]: row["label"] for row in rows} == truth  # gold is known, so it is the consensus
    assert list(rows[0]) == ["task", "label", "confidence", "votes", "p_0", "p_1"]
    assert all(row["votes"] == "39" for row in rows)

    annotators = rows_of(people)
    assert len(annotators) == 39
    assert all(float(row["skill_low"]) <= float(row["skill"]) <= float(row["skill_high"]) for row in annotators)
    assert all(int(row["gold_votes"]) == 108 >= int(row["gold_right"]) for row in annotators)

    found = json.loads(report.read_text())
    assert (found["tasks"], found["annotators"], found["votes"], found["repeated_votes"]) == (108, 39, 4212, 0)
    assert 0.8 < found["accuracy"] < 1.0  # held out: clamped gold would be right by definition
    assert 0 < found["ece"] < 0.3
    assert -1 < found["alpha"] < 1


def test_it_says_what_happened_and_what_to_do_next_and_writes_nothing_unasked(tmp_path: Path) -> None:
    votes = file(tmp_path, "votes.csv", SMALL)
    done = aggregate(votes)
    assert done.returncode == 0, done.stderr
    assert "12 votes on 4 tasks by 3 annotators, 2 labels" in done.stdout
    assert "Next: --out consensus.csv" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["votes.csv"]


def test_what_is_odd_is_said_on_stderr_and_in_the_report(tmp_path: Path) -> None:
    votes, report = file(tmp_path, "votes.csv", SMALL), tmp_path / "report.json"
    done = aggregate(votes, "--gold", file(tmp_path, "gold.csv", b"task,label\nt9,cat\n"), "--report", report)
    said = "Nobody voted on any of the 1 task with gold (such as 't9'), so gold is not used."
    assert done.stderr.startswith(f"Warning: {said}") and said not in done.stdout
    assert [warning[: len(said)] for warning in json.loads(report.read_text())["warnings"]] == [said]


def test_what_only_a_report_shows_is_not_worked_out_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregation.offline.report.details", None)
    votes = file(tmp_path, "votes.csv", SMALL)
    aggregate_here(votes, "--out", tmp_path / "out.csv")
    with pytest.raises(TypeError):
        aggregate_here(votes, "--report", tmp_path / "report.json")


def test_it_needs_no_settings_and_makes_no_home(tmp_path: Path) -> None:
    votes = file(tmp_path, "votes.csv", SMALL)
    home = tmp_path / "home"
    done = aggregate(
        votes, CROWD_HOME=str(home), HOME=str(home), DATABASE_URL="sqlite:///no", DJANGO_SETTINGS_MODULE="no"
    )
    assert done.returncode == 0, done.stderr
    assert not home.exists()


def test_it_starts_without_whatever_is_heavy() -> None:
    heavy = (
        "rest_framework",
        "numba",
        "pandas",
        "sklearn",
        "pyarrow",
        "crowdkit",
        "celery",
        "psycopg",
        "scipy",
        "tqdm",
    )
    code = (
        "import sys, manage; sys.argv = ['manage.py', 'aggregate', '--help']\n"
        "try: manage.main()\n"
        f"except SystemExit: print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "--annotators" in done.stdout
    assert done.stderr.strip() == "[]"


def test_it_is_among_the_commands_that_help_lists() -> None:
    done = subprocess.run([sys.executable, "manage.py", "help"], cwd=ROOT, capture_output=True, text=True)
    assert "aggregate" in done.stdout.split()


@pytest.mark.parametrize("name", ["votes.csv.gz", "votes.jsonl", "votes.ndjson.gz", "votes.parquet"])
def test_every_format_gives_the_same_consensus(tmp_path: Path, name: str) -> None:
    expected, out = tmp_path / "expected.csv", tmp_path / "consensus.csv"
    aggregate_here(file(tmp_path, "small.csv", SMALL), "--out", expected)
    aggregate_here(write_small(tmp_path, name), "--out", out)
    assert out.read_bytes() == expected.read_bytes()


def test_votes_may_come_through_standard_input(tmp_path: Path) -> None:
    expected, out = tmp_path / "expected.csv", tmp_path / "consensus.csv"
    aggregate_here(file(tmp_path, "small.csv", SMALL), "--out", expected)
    assert aggregate("-", "--out", out, given=SMALL).returncode == 0
    assert out.read_bytes() == expected.read_bytes()


def write_small(folder: Path, name: str) -> Path:
    rows = list(csv.DictReader(io.StringIO(SMALL.decode())))
    if name.endswith(".parquet"):
        import pyarrow as pa

        pq.write_table(pa.Table.from_pylist(rows), folder / name)
        return folder / name
    lines = "".join(json.dumps(row) + "\n" for row in rows) if "json" in name else SMALL
    return file(folder, name, lines)


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\n  \r\n", b"\xef\xbb\xbf\n\n "])
def test_json_lines_are_recognised_on_standard_input(tmp_path: Path, before: bytes) -> None:
    lines = before + b'{"task": 1, "worker": "a", "label": true}\n{"task": 1, "worker": "b", "label": true}\n'
    out = tmp_path / "consensus.csv"
    done = aggregate("-", "--out", out, given=gzip.compress(lines))
    assert done.returncode == 0, done.stderr
    assert out.read_text().splitlines()[1].startswith("1,true,")


def test_parquet_on_standard_input_is_named(tmp_path: Path) -> None:
    done = aggregate("-", given=write_small(tmp_path, "votes.parquet").read_bytes())
    assert (done.returncode, done.stderr) == (
        1,
        "CommandError: standard input is Parquet, which is read from its end: give the name of a file\n",
    )


def test_parquet_and_csv_hold_the_same(tmp_path: Path) -> None:
    votes = file(tmp_path, "votes.csv", SMALL)
    for name in ("out.csv", "out.csv.gz", "out.parquet"):
        aggregate_here(votes, "--out", tmp_path / name)
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == (tmp_path / "out.csv").read_bytes()
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    for row, written in zip(rows, rows_of(tmp_path / "out.csv"), strict=True):
        assert (row["task"], row["label"], row["votes"]) == (
            written["task"],
            written["label"],
            int(written["votes"]),
        )
        assert row["confidence"] == float(written["confidence"]) == max(row["p_cat"], row["p_dog"])


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    votes, gold = file(tmp_path, "votes.csv", SMALL), file(tmp_path, "gold.csv", SMALL_GOLD)
    names = ("out.csv.gz", "people.parquet", "report.html")
    written = []
    for _ in range(2):
        arguments = [
            part
            for option, name in zip(("--out", "--annotators", "--report"), names, strict=True)
            for part in (option, tmp_path / name)
        ]
        assert aggregate(votes, "--gold", gold, *arguments).returncode == 0
        written.append([(tmp_path / name).read_bytes() for name in names])
    assert written[0] == written[1]


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    votes = file(tmp_path, "votes.csv", SMALL.replace(b"task,worker,label", b"item,user,label"))
    gold = file(tmp_path, "gold.csv", SMALL_GOLD.replace(b"task,label", b"item,truth"))
    names = ("--columns", "task=item,worker=user", "--gold-columns", "task=item,label=truth")
    assert "3 held-out gold tasks" in aggregate_here(votes, "--gold", gold, *names)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--method", "magic"), "there is no such label model; there are auto, "),
        (
            ("--method", "crowd_kit_kos", "--labels", "cat,dog,bird"),
            "--method crowd_kit_kos: KOS works with two labels only, not 3",
        ),
        (("--columns", "item=task"), "expected task=NAME,worker=NAME,label=NAME"),
        (("--labels", "cat,cat"), "expected different labels"),
        (("--out", "{folder}/c.txt"), "--out {folder}/c.txt: expected a name ending in .csv or .parquet"),
        (("--report", "{folder}/r.csv"), "expected a name ending in .json or .html"),
        (("--out", "{folder}/none/c.csv"), "there is no folder {folder}/none"),
        (("--out", "{folder}/votes.csv"), "is an input as well"),
        (("--out", "{folder}/a.csv", "--annotators", "{folder}/a.csv"), "is --out as well"),
        (("--gold", "{folder}/nothing.csv"), "{folder}/nothing.csv: No such file"),
    ],
)
def test_it_says_what_is_wrong_with_what_is_asked_for(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    votes = file(tmp_path, "votes.csv", SMALL)
    with pytest.raises(CommandError, match=re.escape(said.format(folder=tmp_path))):
        aggregate_here(votes, *(argument.format(folder=tmp_path) for argument in arguments))
    assert [path.name for path in tmp_path.iterdir()] == ["votes.csv"]


def test_a_bad_line_is_named_and_what_was_there_before_stays(tmp_path: Path) -> None:
    votes = file(tmp_path, "votes.csv", HEADER + b'a,w,"two\nlines"\nb,,x\n')
    out = file(tmp_path, "consensus.csv", "kept")
    done = aggregate(votes, "--out", out)
    assert done.returncode == 1
    assert f"{votes} line 4: 'worker' is missing" in done.stderr
    assert "Traceback" not in done.stderr
    assert out.read_text() == "kept"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ([("t", f"w{i}", "yes" if i % 3 else "no") for i in range(10_000)], {"t": "yes"}),
        ([("a", "w", "x"), ("b", "w", "x")], {"a": "x", "b": "x"}),
        ([("a", "w", "x"), ("b", "w", "y")], {"a": "x", "b": "y"}),
        ([(f"t{i}", f"w{i}", str(i % 2)) for i in range(20)], {f"t{i}": str(i % 2) for i in range(20)}),
        (
            [(f"t{i}", f"w{j}", f"label {i + 500 * (j == 2)}") for i in range(500) for j in range(3)],
            {f"t{i}": f"label {i}" for i in range(500)},
        ),
    ],
    ids=["10,000 votes on a task", "one label", "one annotator", "everybody votes once", "1,000 labels"],
)
def test_extreme_crowds_have_a_consensus_and_a_report(
    tmp_path: Path, rows: list[tuple[str, str, str]], labels: dict[str, str]
) -> None:
    out, report = tmp_path / "out.csv", tmp_path / "report.json"
    aggregate_here(file(tmp_path, "votes.csv", votes_csv(*rows)), "--out", out, "--report", report)
    assert {row["task"]: row["label"] for row in rows_of(out)} == labels
    assert all(0 < float(row["confidence"]) <= 1 for row in rows_of(out))
    assert json.loads(report.read_text())["tasks"] == len(labels)


def test_progress_is_shown_to_who_looks_at_a_terminal(tmp_path: Path) -> None:
    votes, gold = file(tmp_path, "votes.csv", SMALL), file(tmp_path, "gold.csv", SMALL_GOLD)
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 100))
    command = [sys.executable, "manage.py", "aggregate", votes, "--gold", gold]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=its) as running:
        os.close(its)
        shown = b"".join(iter(lambda: read_terminal(ours), b"")).decode()
        printed, _ = running.communicate()
    os.close(ours)
    assert running.returncode == 0, shown
    for stage in ("reading votes.csv", "reading gold.csv", "fitting ", "cross-validating", "comparing", "writing"):
        assert stage in shown
    assert b"reading" not in printed


def read_terminal(terminal: int) -> bytes:
    """What comes next; nothing once the other side has gone, which Linux reports as an error."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
