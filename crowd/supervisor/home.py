"""The data directory: one per stack, owned by one ``manage.py up`` at a time.

    secrets/   made once, never changed          log/       one file per part
    database/  PostgreSQL's own                  run/       what is running now, if anything

Read by ``crowd.settings`` at every start of every command, so this module stays light.
"""

import fcntl
import json
import os
import secrets
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

ENVIRONMENT = "run/environment.json"
STATUS = "run/status.json"
RUNNING = "CROWD_RUNNING_STACK"  # marks an environment that was filled from ENVIRONMENT


class AlreadyRunning(Exception):
    """Another ``up`` owns this data directory."""


def home_directory() -> Path:
    given = os.environ.get("CROWD_HOME")
    return Path(given).expanduser().absolute() if given else platformdirs.user_data_path("crowd")


def running_environment() -> dict[str, str]:
    """How to reach the stack that runs on this data directory; empty when none does.

    The file may be left over from a killed run, the lock cannot: it goes with its process.
    """
    home = home_directory()
    try:
        text = (home / ENVIRONMENT).read_text()
        if not _is_locked(home / "up.lock"):
            return {}
    except OSError:
        return {}
    found: dict[str, str] = json.loads(text)
    return found | {RUNNING: text}


def own_environment() -> dict[str, str]:
    """This process's environment without what the settings took from a running stack.

    ``up`` and ``demo`` start a stack of their own: another one's database is not their user's choice.
    """
    environment = dict(os.environ)
    taken: dict[str, str] = json.loads(environment.pop(RUNNING, "{}"))
    return {name: value for name, value in environment.items() if taken.get(name) != value}


class Home:
    """The data directory as its owner sees it: between ``own()`` and ``release()``."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home_directory()
        self._lock: int | None = None
        self._parts_lock: int | None = None

    def own(self, address: str) -> None:
        """Take the directory or raise `AlreadyRunning`; wait for the rest of a killed run."""
        make_private(self.path)
        for name in ("secrets", "log", "run", "database"):
            make_private(self.path / name)
        self._lock = os.open(self.path / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        # Not at once: a command may be looking at the lock in this very moment.
        if not _lock_within(self._lock, seconds=0.5):
            owner = os.pread(self._lock, 500, 0).decode()
            self.release()
            raise AlreadyRunning(f"already running on this data directory: {owner or 'just starting'}")
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"pid {os.getpid()}, {address}".encode(), 0)
        # Every reaper holds this second lock, so it is free when nothing of a former run lives.
        self._parts_lock = os.open(self.path / "parts.lock", os.O_RDWR | os.O_CREAT, 0o600)
        if not _lock_within(self._parts_lock, seconds=10):
            self.release()
            raise AlreadyRunning("parts of a former run on this data directory are still ending")
        self.forget()

    def release(self) -> None:
        for lock in (self._parts_lock, self._lock):
            if lock is not None:
                os.close(lock)
        self._lock = self._parts_lock = None

    @property
    def held_by_parts(self) -> list[int]:
        """File descriptors for the reapers to keep open."""
        return [] if self._parts_lock is None else [self._parts_lock]

    def secret(self, name: str) -> str:
        return secret_file(self.path / "secrets" / name)

    def log(self, part: str) -> Path:
        """A fresh log file; the one of the run before stays beside it."""
        log = self.path / "log" / f"{part}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        return log

    def publish(self, environment: Mapping[str, str]) -> None:
        write_private(self.path / ENVIRONMENT, json.dumps(environment))

    def publish_status(self, **status: Any) -> None:
        write_private(self.path / STATUS, json.dumps(status))

    def forget(self) -> None:
        for name in (ENVIRONMENT, STATUS):
            (self.path / name).unlink(missing_ok=True)


def read_status(home: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((home / STATUS).read_text())
    except OSError:
        return {}
    return found


def make_private(directory: Path) -> None:
    """Create it for this account only. One that exists keeps its mode: it may be ``/srv``,
    and everything below it that matters is closed by itself."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def secret_file(path: Path) -> str:
    """The secret kept in this file, made at first use. Never half-written, never replaced."""
    if not path.exists():
        draft = _draft(path, secrets.token_urlsafe(48))
        try:
            os.link(draft, path)  # unlike a rename it fails if somebody was faster
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


def write_private(path: Path, text: str) -> None:
    """Replace the file as a whole: readers see the old text or the new one."""
    _draft(path, text).replace(path)


def _draft(path: Path, text: str) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    with open(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _is_locked(path: Path) -> bool:
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _lock_within(handle: int, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
