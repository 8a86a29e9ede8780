"""What the database and the disk can do on this machine: pgbench on `ceiling.sql`, and an fsync for comparison."""

from __future__ import annotations

import os
import re
import resource
import statistics
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from crowd.supervisor.binaries import PACKAGE, PROGRAMS

SCRIPT = Path(__file__).with_name("ceiling.sql")
#: Cycles/s under which a machine, or its hour, says nothing about a server.
LEAST = 800
#: Keys only, and as many tasks as the project has; the spare ones at the end are for clients that begin at the last.
SPARE = 1000
SCHEMA = """
DROP SCHEMA IF EXISTS ceiling CASCADE;
CREATE SCHEMA ceiling;
CREATE TABLE ceiling.task (
    id bigint PRIMARY KEY, taken integer NOT NULL DEFAULT 0, redundancy integer NOT NULL, CHECK (taken <= redundancy)
);
CREATE TABLE ceiling.assignment (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), task bigint NOT NULL, annotator bigint NOT NULL,
    open boolean NOT NULL DEFAULT true, UNIQUE (task, annotator)
);
CREATE TABLE ceiling.vote (
    task bigint NOT NULL, annotator bigint NOT NULL, label smallint NOT NULL, PRIMARY KEY (task, annotator)
);
"""
FILL = "INSERT INTO ceiling.task (id, redundancy) SELECT id, 1000000000 FROM generate_series(1, %s) AS id"


def make_ceiling(connection: Any, tasks: int) -> None:
    """The minimal schema beside the service's own, in the same database."""
    connection.execute(SCHEMA)
    connection.execute(FILL, [tasks + SPARE])
    for setting in ("fsync", "synchronous_commit"):
        ((value,),) = connection.execute(f"SHOW {setting}")
        if value != "on":
            raise SystemExit(f"{setting} is {value}: a ceiling of votes that may be lost is none")


def ceiling(url: str, *, tasks: int, clients: int, seconds: float) -> dict[str, float]:
    """Cycles, cycles/s and the processor's seconds of pgbench with so many clients."""
    place = urlsplit(url)
    known = {"PGHOST": place.hostname, "PGPORT": place.port, "PGUSER": place.username, "PGDATABASE": place.path[1:]}
    environment = os.environ | {name: str(value) for name, value in known.items()}
    command = [program("pgbench"), "-n", "-M", "prepared", "-f", str(SCRIPT), "-D", f"tasks={tasks}"]
    command += ["-c", str(clients), "-j", str(min(clients, os.cpu_count() or 1)), "-T", str(max(round(seconds), 1))]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, env=environment | {"PGPASSWORD": unquote(place.password or "")}, capture_output=True, text=True
    )
    rate = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    cycles = re.search(r"^number of transactions actually processed: (\d+)", done.stdout, re.MULTILINE)
    if done.returncode or not rate or not cycles:
        raise SystemExit(f"pgbench failed:\n{done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cycles_per_s": float(rate[1]), "cycles": int(cycles[1]), "cpu_seconds": cpu}


def program(name: str) -> str:
    """One of PostgreSQL's programs in the wheel that the service's own server comes from."""
    spec = find_spec(PACKAGE)
    assert spec and spec.origin, f"{PACKAGE} is not installed"
    return str(Path(spec.origin).parent.parent / PROGRAMS / name)


def fsync_ms(folder: Path, seconds: float = 1.0) -> dict[str, float]:
    """Milliseconds to write 8 kB and to have them on the disk of this folder, one after the other."""
    taken, page = [], os.urandom(8192)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        deadline = time.perf_counter() + seconds
        while (began := time.perf_counter()) < deadline:
            os.pwrite(file.fileno(), page, 0)
            os.fdatasync(file.fileno())
            taken.append(1000 * (time.perf_counter() - began))
    return {"p50": statistics.median(taken), "per_s": len(taken) / sum(taken) * 1000}
