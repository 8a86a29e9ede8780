"""A whole stack for tests: `manage.py up` as people start it, in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crowd.supervisor.postgres import servers_in

ROOT = Path(__file__).resolve().parents[2]
UP = [sys.executable, str(ROOT / "manage.py"), "up"]
READY_WITHIN = 180.0  # generous: the machine may be busy


@dataclass
class Stack:
    home: Path
    process: subprocess.Popen[bytes]
    output_file: Path
    url: str = ""
    link: str = ""

    def output(self) -> str:
        return self.output_file.read_text()

    def pids(self) -> dict[str, int]:
        """By part, and the supervisor's own; as of now, for parts may have been restarted."""
        status = json.loads((self.home / "run" / "status.json").read_text())
        return {"supervisor": self.process.pid, **status["parts"]}

    def environment(self) -> dict[str, str]:
        """How to reach its database and broker."""
        found: dict[str, str] = json.loads((self.home / "run" / "environment.json").read_text())
        return found

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ask it to stop, as Ctrl-C does, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(15)

    def kill9(self) -> None:
        """Kill the supervisor alone; what becomes of its parts is their own business."""
        self.process.kill()
        self.process.wait()

    def survivors(self) -> dict[int, str]:
        return processes_of(self.home)


def start_stack(
    home: Path,
    extra_env: Mapping[str, str] | None = None,
    *,
    arguments: Sequence[str] = ("--port", "0"),
    before: Sequence[str] = (),
    ready: bool = True,
) -> Stack:
    """Start it on this data directory and wait until it says that it is ready.

    ``before`` is put before the command (`setpriv ...`); ``ready=False`` does not wait.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in OF_A_STACK}
    environment = inherited | {"CROWD_HOME": str(home)} | dict(extra_env or {})
    output_file = home.with_name(f"{home.name}-{time.monotonic_ns()}.out")
    with open(output_file, "wb") as output:
        process = subprocess.Popen(
            [*before, *UP, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    stack = Stack(home, process, output_file)
    if ready:
        try:
            _read_addresses(stack)
        except BaseException:
            stack.stop()
            raise
    return stack


OF_A_STACK = {"DATABASE_URL", "BROKER_URL", "CROWD_SECRET_KEY", "CROWD_PUBLIC_URL", "CROWD_RUNNING_STACK"}


def _read_addresses(stack: Stack) -> None:
    wait_until(lambda: "Ctrl-C stops everything" in stack.output() or stack.process.poll() is not None, READY_WITHIN)
    url = re.search(r"^Crowd is running on (\S+)$", stack.output(), re.MULTILINE)
    link = re.search(r"^Sign in once as manager: (\S+)$", stack.output(), re.MULTILINE)
    assert url and link, f"the stack did not start:\n{stack.output()}"
    stack.url, stack.link = url[1], link[1]


def processes_of(home: Path) -> dict[int, str]:
    """Every process that was started for this data directory, by pid.

    Found by its environment; PostgreSQL overwrites its own and is found by its working directory.
    """
    found = dict.fromkeys(servers_in(home / "database" / "cluster" / "data"), "postgres")
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
            if f"CROWD_HOME={home}".encode() in environment:
                found[int(name)] = Path(f"/proc/{name}/cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Poll until it holds; False if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True
