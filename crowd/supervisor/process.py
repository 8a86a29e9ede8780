"""A command that runs under a reaper, seen from the process that started it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from crowd.supervisor import reaper


class StartFailed(Exception):
    """A part could not be started; the message says which and why."""


class Reaped:
    """One running command. Start it from a thread that lives as long as the command should:
    Linux sends the death signal when that *thread* ends."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        user: tuple[int, int] | None = None,
        stop_signal: int = signal.SIGTERM,
        hold: Sequence[int] = (),
    ) -> None:
        """``hold`` are file descriptors kept open by the reaper, and only by it, as long as
        anything of the command lives: a lock among them is released when all is gone."""
        self.log = log
        self.log_start = log.stat().st_size if log.exists() else 0
        self.stop_signal = stop_signal
        account = f"{user[0]}:{user[1]}" if user else "-"
        program = shutil.which(command[0]) or command[0]
        arguments = [str(os.getpid()), str(int(stop_signal)), account, program, *command[1:]]
        with open(log, "ab", opener=_private) as output:
            self._reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", reaper.__file__, *arguments],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a terminal's Ctrl-C is for the supervisor alone
                pass_fds=hold,
            )

    @property
    def reaper_pid(self) -> int:
        return self._reaper.pid

    @property
    def pid(self) -> int | None:
        """The command's own pid: the reaper's first child (later ones are adopted)."""
        return next(iter(reaper.children().get(self._reaper.pid, ())), None)

    def poll(self) -> int | None:
        return self._reaper.poll()

    def how_it_ended(self) -> str:
        code = self._reaper.returncode
        if code < 0 or code > 128:
            return f"signal {-code if code < 0 else code - 128}"
        return f"exit status {code}"

    def send(self, number: int) -> None:
        self._reaper.send_signal(number)

    def ask_to_stop(self) -> None:
        self.send(self.stop_signal)

    def wait(self, seconds: float) -> bool:
        try:
            self._reaper.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """Kill the command with all its descendants; the reaper then finds none and ends."""
        deadline = time.monotonic() + 2
        while self.poll() is None:
            for pid in reaper.descendants(self._reaper.pid):
                reaper.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                self._reaper.kill()
            self.wait(0.05)

    def stop(self, within: float) -> None:
        if self.poll() is None:
            self.ask_to_stop()
        if not self.wait(within):
            self.kill()

    def output(self) -> str:
        """What it wrote since its start."""
        with open(self.log, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def failure(self, name: str, what: str = "") -> str:
        """For people: which part it is, what happened, and its last words."""
        last = "\n".join(self.output().splitlines()[-20:])
        return f"{name:<10} {what or f'failed ({self.how_it_ended()})'}; {self.log} ends with:\n{last}"


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
