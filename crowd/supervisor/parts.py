"""What the stack consists of, and how to see that a part is ready."""

import http.client
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from crowd.supervisor import reaper
from crowd.supervisor.home import Home
from crowd.supervisor.postgres import EmbeddedPostgres
from crowd.supervisor.process import Reaped

BASE_DIR = Path(__file__).resolve().parents[2]
MANAGE = [sys.executable, str(BASE_DIR / "manage.py")]
DIES_YOUNG = 10.0  # a part that lived shorter than this is restarted with a delay
LONGEST_DELAY = 30.0


@dataclass
class Part:
    """One part: how to start it, how to see that it is ready, and what became of it."""

    name: str
    spawn: Callable[[], Reaped]
    ready: Callable[[Reaped], bool]
    where: str = ""
    process: Reaped | None = None
    is_ready: bool = False
    started: float = 0.0
    restart_at: float | None = None
    died_young: int = 0

    def start(self) -> None:
        self.process, self.started = self.spawn(), time.monotonic()
        self.is_ready, self.restart_at = False, None

    def has_died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def has_become_ready(self) -> bool:
        """True once per start."""
        if self.process is None or self.is_ready or not self.ready(self.process):
            return False
        self.is_ready = True
        return True

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def schedule_restart(self) -> float:
        """At once the first time, then 1, 2, 4 ... seconds later as long as it dies young."""
        self.died_young = self.died_young + 1 if self.seconds < DIES_YOUNG else 0
        delay = min(2.0 ** (self.died_young - 2), LONGEST_DELAY) if self.died_young > 1 else 0.0
        self.restart_at = time.monotonic() + delay
        return delay


def service_environment(
    home: Home, given: Mapping[str, str], url: str, database_url: str, broker_url: str
) -> dict[str, str]:
    """What every part gets, and what other commands find in the data directory (`Home.publish`)."""
    published = {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "CROWD_SECRET_KEY": given.get("CROWD_SECRET_KEY") or home.secret("django_secret_key"),
        "CROWD_PUBLIC_URL": given.get("CROWD_PUBLIC_URL") or url,
    }
    home.publish(published)
    fixed = {"CROWD_HOME": str(home.path), "DJANGO_SETTINGS_MODULE": "crowd.settings", "PYTHONUNBUFFERED": "1"}
    # Jobs run side by side: algebra that takes every core for itself makes all of them slower.
    algebra = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = {**algebra, **given, **published, **fixed}
    if sys.dont_write_bytecode and not sys.pycache_prefix:
        # Without a cache every part would compile Django and Celery anew, for half of the start's
        # time. Whoever forbids one means the folders of the source; ours lies elsewhere.
        environment["PYTHONPYCACHEPREFIX"] = str(home.path / "run" / "bytecode")
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


class Commands:
    """Starts the commands of this project: same place, same environment, one log per part."""

    def __init__(self, home: Home, environment: Mapping[str, str]) -> None:
        self.home = home
        self.environment = environment

    def run(self, command: list[str], log: Path) -> Reaped:
        return Reaped(command, log=log, cwd=BASE_DIR, env=self.environment, hold=self.home.held_by_parts)

    def part(self, name: str, command: list[str], ready: Callable[[Reaped], bool], where: str = "") -> Part:
        log = self.home.log(name)
        return Part(name, lambda: self.run(command, log), ready, where)

    def manage(self, name: str, *arguments: str) -> Reaped:
        return self.run([*MANAGE, *arguments], self.home.log(name))


def database(server: EmbeddedPostgres) -> Part:
    return Part("database", server.spawn, lambda _: server.is_ready())


def web(commands: Commands, host: str, port: int, url: str) -> Part:
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port)]
    command += ["--http", "1", "--no-ws", "--workers", "2", "--blocking-threads", "8"]
    # Each thread keeps a database connection: an idle one may stay, a new one costs a login.
    command += ["--blocking-threads-idle-timeout", "600"]
    command += ["--respawn-failed-workers", "--respawn-interval", "0.2", "--workers-kill-timeout", "2"]
    command += ["crowd.wsgi:application"]
    return commands.part("web", command, lambda _: answers(url), f"on {url}")


def worker(commands: Commands) -> Part:
    command = [sys.executable, "-m", "celery", "-A", "crowd", "worker", "--loglevel", "INFO"]
    command += ["--concurrency", "5", "--prefetch-multiplier", "1"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]  # for crowds of workers
    return commands.part("worker", command, lambda process: " ready." in process.output())


def beat(commands: Commands) -> Part:
    # In memory: the schedule is static, and a state file could be torn by a kill.
    command = [sys.executable, "-m", "celery", "-A", "crowd", "beat", "--loglevel", "INFO"]
    command += ["--scheduler", "celery.beat:Scheduler"]
    return commands.part("beat", command, lambda process: "beat: Starting" in process.output())


def answers(url: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=1)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def kill_orphans(parts: list[Part]) -> None:
    """Kill what a killed reaper left: adopted by us, so children of ours that we never started."""
    known = {part.process.reaper_pid for part in parts if part.process}
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        orphans = [pid for pid in reaper.children().get(os.getpid(), ()) if pid not in known]
        if not orphans:
            return
        for orphan in orphans:
            for pid in [orphan, *reaper.descendants(orphan)]:
                reaper.kill(pid, signal.SIGKILL)
            os.waitpid(orphan, os.WNOHANG)
        time.sleep(0.01)
