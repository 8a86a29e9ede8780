"""A whole stack for another program, on a data directory of its own.

    with running_stack() as stack:
        httpx.get(stack.url + "/api/projects")

It runs in a process of its own, which leaves with us: also after a `kill -9` of this program
nothing stays behind, neither processes nor the throw-away data directory.
"""

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crowd.supervisor.home import own_environment, read_status
from crowd.supervisor.parts import BASE_DIR, MANAGE
from crowd.supervisor.process import StartFailed

STOP_WITHIN = 10.0


@dataclass(frozen=True)
class RunningStack:
    home: Path
    url: str
    link: str
    process: subprocess.Popen[bytes]

    def pids(self) -> dict[str, int]:
        """By part, the supervisor too; as of now, for parts may have been restarted."""
        status = read_status(self.home)
        return {"supervisor": self.process.pid, **status.get("parts", {})}


@contextmanager
def running_stack(
    home: Path | None = None,
    *,
    port: int | None = 0,
    host: str = "127.0.0.1",
    environment: Mapping[str, str] | None = None,
    within: float = 120,
) -> Iterator[RunningStack]:
    """``home`` None: a temporary one, removed at the end. ``environment`` adds to ours."""
    place = home or Path(tempfile.mkdtemp(prefix="crowd-"))
    command = [*MANAGE, "up", "--host", host, "--leave-with-parent"]
    command += [] if port is None else ["--port", str(port)]
    command += [] if home else ["--throw-away"]
    log = place / "up.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=BASE_DIR,
            env=own_environment() | {"CROWD_HOME": str(place)} | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C is ours to handle; we then stop it
        )
    try:
        yield _when_ready(process, place, log, within)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _when_ready(process: subprocess.Popen[bytes], home: Path, log: Path, within: float) -> RunningStack:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        status = read_status(home)
        # A status file may be left from a killed run: ours names our process.
        if status.get("pid") == process.pid:
            return RunningStack(home, status["url"], status["link"], process)
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise StartFailed(f"the stack did not start:\n{log.read_text(errors='replace') if log.exists() else ''}")
