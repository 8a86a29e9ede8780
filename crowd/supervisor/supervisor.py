"""``manage.py up``: start every part, watch them, restart what dies, stop in order.

One thread and one loop. Nothing here touches Django: what needs it runs as a child.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from crowd.supervisor import parts, reaper
from crowd.supervisor.address import free_port, is_free, place, web_url, with_scheme
from crowd.supervisor.home import AlreadyRunning, Home, own_environment
from crowd.supervisor.parts import Commands, Part
from crowd.supervisor.postgres import EmbeddedPostgres, install_queue
from crowd.supervisor.process import Reaped, StartFailed, name_of

DEFAULT_PORT = 8000
WILDCARDS = {"0.0.0.0", "::"}
READY_WITHIN = 60.0
STOP_SERVANTS_WITHIN = 2.0  # all but the database, together
STOP_WITHIN = 4.0


def say(line: str) -> None:
    with suppress(OSError):  # nobody reads on: a closed terminal, `| head`
        print(line, flush=True)


class Stopped(BaseException):
    """Somebody asked us to stop."""


class Supervisor:
    def __init__(
        self,
        home: Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        leave_with_parent: bool = False,
        throw_away: bool = False,
        write: Callable[[str], None] = say,
    ) -> None:
        """``port`` None: the default one or, if it is taken, another; 0: any free one.
        ``leave_with_parent``: stop when the process that started us ends.
        ``throw_away``: remove the data directory at the end."""
        self.home = Home(home)
        self.host, self.wanted_port, self.throw_away = host, port, throw_away
        self._write = write
        self._parts: list[Part] = []
        self._server: EmbeddedPostgres | None = None
        self._link = ""
        self._stopping = False
        self._given = own_environment()
        self._parent = os.getppid()
        # A killed `uv run` passes nothing on, and nobody would look for us behind it.
        self._leave_with_parent = leave_with_parent or name_of(self._parent) == "uv"

    def run(self) -> int:
        os.umask(0o077)
        self._listen_to_signals()
        try:
            self._choose_address()
            self.home.own(self.url)
        except (AlreadyRunning, StartFailed) as problem:
            self._write(str(problem))
            return 1
        code = 0
        try:
            reaper.adopt_orphans()
            self._start()
            self._watch()
        except Stopped:
            self._write("")
        except StartFailed as problem:
            self._write(str(problem))
            code = 1
        finally:
            self._stop()
        return code

    # --- start ------------------------------------------------------------------------------

    def _choose_address(self) -> None:
        port = DEFAULT_PORT if self.wanted_port is None else self.wanted_port
        if port and not is_free(port, self.host):
            if self.wanted_port is not None:
                raise StartFailed(f"port {port} is taken; choose another, or 0 for any free one")
            self._say("web", f"port {port} is taken, choosing another")
            port = 0
        if self.host in WILDCARDS and not self._given.get("CROWD_PUBLIC_URL"):
            raise StartFailed(
                f"on {self.host} people come by an address that only you know: set CROWD_PUBLIC_URL to it, "
                "such as http://192.168.1.20:8000 (links and the check of a request's origin need it)"
            )
        self.port = port or free_port(self.host)
        self.url = web_url(self.host, self.port)

    def _start(self) -> None:
        urls = self._start_database()
        commands = Commands(self.home, parts.service_environment(self.home, self._given, self.url, *urls))
        started = time.monotonic()
        self._run_once(commands, "schema", "migrate", "--no-input", "--skip-checks")
        self._say("schema", f"up to date ({time.monotonic() - started:.1f} s)")
        self._parts += [
            parts.web(commands, self.host, self.port, self.url),
            parts.worker(commands),
            parts.beat(commands),
        ]
        for part in self._parts:
            if part.process is None:
                part.start()
        self._link = self._make_sign_in_link(commands)
        self._wait_until_all_ready()
        self._publish_status()
        self._write(f"\nCrowd is running on {self.url}")
        self._write(f"Sign in once as manager: {self._link}")
        self._write(f"Data and logs: {self.home.path}. Ctrl-C stops everything.\n")

    def _start_database(self) -> tuple[str, str]:
        """The URLs of the database and of the broker, both usable."""
        url = self._given.get("DATABASE_URL") or self._start_embedded_database()
        if self._server is None:
            self._say("database", f"yours at {place(url)}")
        if "BROKER_URL" not in self._given and "sslmode=" in url:
            raise StartFailed("the broker would not keep the sslmode of DATABASE_URL: set BROKER_URL as well")
        broker = self._given.get("BROKER_URL") or with_scheme("pgmq", url).partition("?")[0]
        if broker.startswith("pgmq:"):
            install_queue(url if "BROKER_URL" not in self._given else broker)
        return url, broker

    def _start_embedded_database(self) -> str:
        started = time.monotonic()
        self._server = EmbeddedPostgres(
            self.home.path / "database",
            password=self.home.secret("database_password"),
            log=self.home.log("database"),
            hold=self.home.held_by_parts,
        )
        self._server.start()
        part = parts.database(self._server)
        part.process, part.is_ready, part.started = self._server.process, True, started
        part.where = f"on 127.0.0.1:{self._server.port}"
        self._parts.append(part)
        self._say_ready(part)
        return self._server.url

    def _run_once(self, commands: Commands, name: str, *arguments: str) -> Reaped:
        """Run a management command to its end."""
        process = commands.manage(name, *arguments)
        while process.poll() is None:
            self._notice_ready()
            time.sleep(0.02)
        if process.poll() != 0:
            raise StartFailed(process.failure(name))
        return process

    def _make_sign_in_link(self, commands: Commands) -> str:
        """As a child, while the other parts are starting: it needs models and a database."""
        printed = self._run_once(commands, "sign-in", "sign_in_link")
        link = printed.output().split()[-1]
        printed.log.unlink()  # the link is a key
        return link

    def _wait_until_all_ready(self) -> None:
        while not all(part.is_ready for part in self._parts):
            self._notice_ready()
            time.sleep(0.05)

    def _notice_ready(self) -> None:
        for part in self._parts:
            if part.process and part.has_died():
                raise StartFailed(part.process.failure(part.name))
            if part.has_become_ready():
                self._say_ready(part)
            elif part.process and not part.is_ready and part.seconds > READY_WITHIN:
                raise StartFailed(part.process.failure(part.name, "is not ready in time"))

    # --- watch ------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not (self._leave_with_parent and os.getppid() != self._parent):
            for part in self._parts:
                self._tend(part)
            time.sleep(0.1)

    def _tend(self, part: Part) -> None:
        if part.restart_at is not None:
            if time.monotonic() >= part.restart_at:
                part.start()
        elif part.process and part.has_died():
            self._replace(part, part.process)
        elif part.has_become_ready():
            self._say_ready(part)
            self._publish_status()

    def _replace(self, part: Part, dead: Reaped) -> None:
        how = dead.how_it_ended()
        parts.kill_orphans(self._parts)
        delay = part.schedule_restart()
        if not delay:
            part.start()
        self._say(part.name, f"died ({how}), " + (f"restarting in {delay:g} s" if delay else "restarted"))

    # --- stop -------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._stopping = True
        began = time.monotonic()
        self._stop_parts(began)
        self._parts.clear()
        parts.kill_orphans([])
        self.home.forget()
        if self.throw_away:
            shutil.rmtree(self.home.path, ignore_errors=True)
        self.home.release()
        self._write(f"stopped ({time.monotonic() - began:.1f} s)")

    def _stop_parts(self, began: float) -> None:
        """The last started first, the database last of all; kill what does not obey in time."""
        servants = [part.process for part in reversed(self._parts) if part.process and part.name != "database"]
        for process in servants:
            if self.throw_away:  # nothing to bring to a good end
                process.kill()
            elif process.poll() is None:
                process.ask_to_stop()
        for process in servants:
            if not process.wait(max(0.0, began + STOP_SERVANTS_WITHIN - time.monotonic())):
                process.kill()
        if self._server:
            self._server.stop(0.0 if self.throw_away else began + STOP_WITHIN - time.monotonic())

    def _listen_to_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Impatient people send several: only the first one counts, stopping is bounded anyway."""
        if not self._stopping:
            self._stopping = True
            raise Stopped

    def _say(self, name: str, text: str) -> None:
        self._write(f"{name:<10} {text}")

    def _say_ready(self, part: Part) -> None:
        self._say(part.name, " ".join(filter(None, ["ready", part.where, f"({part.seconds:.1f} s)"])))

    def _publish_status(self) -> None:
        pids = {part.name: part.process.pid for part in self._parts if part.process}
        self.home.publish_status(pid=os.getpid(), url=self.url, link=self._link, parts=pids)
