"""The command as people run it, and small files for it."""

from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BLUEBIRD = ROOT / "crowd" / "demo" / "data" / "bluebird"
HEADER = b"task,worker,label\n"


def aggregate(*arguments: str | Path, given: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py aggregate` with these arguments; `given` goes to its standard input."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("CROWD_", "DJANGO_", "DATABASE"))
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "manage.py", "aggregate", *map(str, arguments)],
        cwd=ROOT,
        input=given,
        env={**clean, **environment},
        capture_output=True,
        timeout=300,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def aggregate_here(*arguments: str | Path) -> str:
    """The same command in this process: what it prints; raises CommandError."""
    from django.core.management import call_command

    printed = io.StringIO()
    call_command("aggregate", *map(str, arguments), stdout=printed)
    return printed.getvalue()


def file(folder: Path, name: str, content: bytes | str) -> Path:
    """Write a file, compressed if its name ends in .gz."""
    data = content.encode() if isinstance(content, str) else content
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def votes_csv(*rows: tuple[str, str, str]) -> bytes:
    return HEADER + b"".join(f"{','.join(row)}\n".encode() for row in rows)


#: Four tasks; annotators a and b are right, c errs on the last two.
SMALL = votes_csv(
    *(
        ("t1", "a", "cat"),
        ("t1", "b", "cat"),
        ("t1", "c", "cat"),
        ("t2", "a", "dog"),
        ("t2", "b", "dog"),
        ("t2", "c", "dog"),
    ),
    *(
        ("t3", "a", "cat"),
        ("t3", "b", "cat"),
        ("t3", "c", "dog"),
        ("t4", "a", "dog"),
        ("t4", "b", "dog"),
        ("t4", "c", "cat"),
    ),
)
SMALL_GOLD = b"task,label\nt1,cat\nt2,dog\nt3,cat\n"
