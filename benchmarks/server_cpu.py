"""What `server.py` runs on, and what each part uses of the processor."""

from __future__ import annotations

import os
import sys
import timeit
from pathlib import Path
from typing import Any

from crowd.supervisor.reaper import descendants
from crowd.supervisor.stack import RunningStack


def cpu_seconds(stack: RunningStack) -> dict[str, float]:
    """Of each part of the stack so far, its ended processes too; and of the whole machine, whoever uses it."""
    pids = stack.pids()
    parts = {part: [pid, *descendants(pid)] for part, pid in pids.items() if part != "supervisor"}
    return {part: sum(map(_used, processes)) for part, processes in parts.items()} | {"machine": _busy()}


def cpu_between(before: dict[str, float], after: dict[str, float], client: float) -> dict[str, float]:
    """What each part has used in between, the client's seconds given, and what others have.

    Others are whoever else is on the machine; what a hypervisor takes away counts as theirs.
    """
    used = {part: seconds - before[part] for part, seconds in after.items()} | {"client": client}
    machine = used.pop("machine")
    return used | {"others": max(machine - sum(used.values()), 0.0)}


def ours(used: dict[str, float]) -> float:
    """Seconds of all parts and the client."""
    return sum(seconds for part, seconds in used.items() if part != "others")


def _used(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:  # it has just ended
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _busy() -> float:
    """Of all cores: everything but being idle and waiting for a disk (proc_stat(5))."""
    first = Path("/proc/stat").read_text().partition("\n")[0]
    user, nice, system, _, _, *interrupts_and_stolen = map(int, first.split()[1:9])
    return (user + nice + system + sum(interrupts_and_stolen)) / os.sysconf("SC_CLK_TCK")


def server_threads(stack: RunningStack) -> str:
    """How many processes and threads the web server was told to use."""
    command = Path(f"/proc/{stack.pids()['web']}/cmdline").read_text().split("\0")
    told = {name: command[command.index(name) + 1] for name in ("--workers", "--blocking-threads")}
    return "{--workers} web processes of {--blocking-threads} threads".format_map(told)


def machine(postgresql: str) -> dict[str, Any]:
    """Its description; `python_loop_ns` is how long Python takes for one addition in a loop."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {
        "cores": os.cpu_count(),
        "processor": next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown"),
        "memory_gb": round(int(memory.split()[1]) / 1024**2, 1),
        "postgresql": postgresql,
        "python": sys.version.split()[0],
        "python_loop_ns": round(
            1e9 * min(timeit.repeat("for i in r: s += i", "r, s = range(100_000), 0", number=1)) / 1e5
        ),
    }
