"""PostgreSQL from the wheel as one part of the stack, or alone for tests and benchmarks.

    with EmbeddedPostgres(directory) as server:
        psycopg.connect(server.url)

The server always gets ``/proc/self/cwd`` as its data directory: the reaper is started there
while it still has all rights, so the folders above may be closed to the server's account
(``/root`` and ``mktemp -d`` are), and afterwards the server uses relative paths only.
"""

import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from crowd.supervisor.address import free_port, is_free, place, with_scheme
from crowd.supervisor.binaries import Binaries, account_for
from crowd.supervisor.home import make_private, secret_file
from crowd.supervisor.process import Reaped, StartFailed

GONE_WITHIN = 10.0  # seconds for a killed server's last backends
HERE = "/proc/self/cwd"
SUPERUSER = "crowd"
INITDB = [f"--username={SUPERUSER}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
# Sorting and case by Unicode, the same on every machine whatever its C library.
INITDB += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "120",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than our short statements
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    def __init__(
        self,
        directory: Path,
        *,
        database: str = "crowd",
        password: str | None = None,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
        hold: Sequence[int] = (),
    ) -> None:
        self.directory = directory
        self.database = database
        self.settings = SETTINGS | dict(settings or {})
        make_private(directory)
        self.log = log or directory / "postgres.log"
        self.password = password or secret_file(directory / "password")
        self.port = 0
        self.process: Reaped | None = None
        self._hold = hold
        # A folder of its own for the server's account; what lies beside it stays ours.
        self._cluster = directory / "cluster"
        self._data = self._cluster / "data"
        self._account = account_for(self._cluster)

    @property
    def url(self) -> str:
        return self._url(self.database)

    def _url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int | None:
        """The postmaster's."""
        return self.process.pid if self.process else None

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, within: float = 120) -> None:
        """Make the cluster if there is none, start the server, make the database."""
        self._binaries = Binaries(self._account, self.directory / "binaries-copy")
        self._make_cluster()
        for attempt in range(3):
            self.port = self._choose_port()
            self.spawn()
            if self._wait_until_ready(within):
                break
            if attempt == 2 or is_free(self.port):
                raise StartFailed(f"database does not start:\n{self._tail()}")
        (self.directory / "port").write_text(str(self.port))
        self._make_database()

    def spawn(self) -> Reaped:
        """Start the server process on the port it has; `is_ready` says when it answers."""
        self._forget_dead_server()
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        self.process = self._run("postgres", "-D", HERE, "-c", f"port={self.port}", *options, cwd=self._data)
        return self.process

    def is_ready(self) -> bool:
        import psycopg  # here, so that the server boots while the driver loads

        try:
            psycopg.connect(self._url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, within: float = 10) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is kept."""
        if self.process is not None:
            self.process.stop(within)
            self._binaries.remove_copy()

    def kill(self) -> None:
        """As the machine's loss of power would look to the server."""
        if self.process is not None:
            self.process.kill()

    def _run(self, program: str, *arguments: str, cwd: Path) -> Reaped:
        return Reaped(
            [str(self._binaries.folder / program), *arguments],
            log=self.log,
            cwd=cwd,
            # Nothing else of our environment is the server's business; the home marks it as ours.
            env={name: os.environ[name] for name in ("PATH", "CROWD_HOME") if name in os.environ} | {"LC_ALL": "C"},
            user=self._account,
            stop_signal=signal.SIGINT,  # fast; a SIGTERM would wait for the clients
            hold=self._hold,
        )

    def _make_cluster(self) -> None:
        """Under another name first: a data directory with its final name is complete."""
        if self._data.exists():
            return
        make_private(self._cluster)
        draft = self._cluster / "draft"
        shutil.rmtree(draft, ignore_errors=True)  # of an initdb that was killed
        draft.mkdir(mode=0o700)
        password_file = self._cluster / "password"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        for path in (self._cluster, draft, password_file):
            if self._account:
                os.chown(path, *self._account)
        initdb = self._run("initdb", "-D", HERE, f"--pwfile={HERE}/../{password_file.name}", *INITDB, cwd=draft)
        done = initdb.wait(120) and initdb.poll() == 0
        initdb.kill()
        password_file.unlink()
        if not done:
            raise StartFailed(f"database cannot be made:\n{self._tail()}")
        draft.rename(self._data)

    def _choose_port(self) -> int:
        """The one of last time, so that bookmarked connections stay true; else any free one."""
        try:
            last = int((self.directory / "port").read_text())
        except (OSError, ValueError):
            last = 0
        return last if last and is_free(last) else free_port()

    def _forget_dead_server(self) -> None:
        """Remove the pid file of a killed server, once that server is really gone.

        PostgreSQL refuses to start when the pid in that file is alive, even if it is another
        program's by now. We may judge better: a server lives in its data directory, so none is
        alive when no process called postgres has it as its working directory. A backend of a
        killed postmaster may need a moment to notice.
        """
        deadline = time.monotonic() + GONE_WITHIN
        while servers_in(self._data):
            if time.monotonic() > deadline:
                raise StartFailed(f"another PostgreSQL runs in {self._data}")
            time.sleep(0.05)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _wait_until_ready(self, within: float) -> bool:
        assert self.process is not None
        deadline = time.monotonic() + within
        while self.process.poll() is None and time.monotonic() < deadline:
            if self.is_ready():
                return True
            time.sleep(0.03)
        self.process.kill()
        return False

    def _make_database(self) -> None:
        import psycopg

        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.database])
            if known.fetchone() is None:
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(self.database)))

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


def install_queue(url: str) -> None:
    """Create the message queue's schema (plain SQL, no extension) unless it is there."""
    import psycopg

    try:
        with psycopg.connect(with_scheme("postgresql", url), connect_timeout=10) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('install pgmq'))")
            row = connection.execute("SELECT to_regnamespace('pgmq') IS NOT NULL").fetchone()
            if not (row and row[0]):
                from pgmq.install import get_embedded_install_sql

                connection.execute(get_embedded_install_sql().encode())
    except psycopg.Error as problem:
        raise StartFailed(f"broker: cannot use the database at {place(url)}: {problem}") from problem


def servers_in(data: Path) -> list[int]:
    """Pids of PostgreSQL processes that have this data directory as their working directory."""
    try:
        wanted = data.stat()
    except FileNotFoundError:
        return []
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            here = os.stat(f"/proc/{name}/cwd")
            if os.path.samestat(here, wanted) and Path(f"/proc/{name}/comm").read_text().strip() == "postgres":
                found.append(int(name))
        except OSError:  # ended, or another account's: then not in a directory of ours
            continue
    return found
