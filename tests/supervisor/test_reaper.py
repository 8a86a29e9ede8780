"""Nothing of a part outlives its supervisor, however either of them ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from crowd.supervisor.process import Reaped
from tests.support.stack import ROOT, processes_of, wait_until

GONE_WITHIN = 60.0  # generous: the machine may be busy

# A part as bad as they come: it and its pool ignore every polite signal, one child fled to a
# session of its own, and another one was left by its parent.
STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
if os.fork():
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
open(f"alive-{os.getpid()}", "w").close()
time.sleep(600)
"""
STUBBORN_PROCESSES = 3

POLITE = """
import pathlib, signal, sys, time
def leave(number, frame):
    pathlib.Path("asked").write_text(signal.Signals(number).name)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
open("alive-1", "w").close()
time.sleep(600)
"""

SUPERVISOR = """
import os, pathlib, sys, time
from crowd.supervisor.process import Reaped
place, user, command = pathlib.Path(sys.argv[1]), eval(sys.argv[2]), sys.argv[3:]
Reaped(command, log=place / "part.log", cwd=place, env=os.environ, user=user)
time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "place"
    directory.mkdir()
    directory.chmod(0o777)
    yield directory
    for pid in processes_of(directory):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def supervise(place: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a process that starts this script as a part; returns when the script is up."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        script: str,
        processes: int,
        user: tuple[int, int] | None = None,
        shell: Sequence[str] = (sys.executable, "-S", "-c"),
    ) -> subprocess.Popen[bytes]:
        environment = os.environ | {"CROWD_HOME": str(place), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", SUPERVISOR, str(place), repr(user), *shell, script]
        started.append(subprocess.Popen(command, env=environment))
        assert wait_until(lambda: len(list(place.glob("alive-*"))) == processes, GONE_WITHIN), "the part did not start"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def part(place: Path, script: str) -> Reaped:
    environment = os.environ | {"CROWD_HOME": str(place)}
    return Reaped([sys.executable, "-S", "-c", script], log=place / "part.log", cwd=place, env=environment)


def test_nothing_is_left_after_the_supervisor_is_killed(place: Path, supervise: Callable[..., subprocess.Popen[bytes]]):
    supervisor = supervise(STUBBORN, STUBBORN_PROCESSES)
    assert len(processes_of(place)) == STUBBORN_PROCESSES + 2  # the reaper and the supervisor
    supervisor.kill()
    supervisor.wait()
    assert wait_until(lambda: not processes_of(place), GONE_WITHIN), processes_of(place)


def test_a_part_with_fewer_rights_goes_with_its_supervisor_too(
    place: Path, supervise: Callable[..., subprocess.Popen[bytes]]
):
    """A change of user clears the death signal, so the order in the reaper matters."""
    uid, gid = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    script = "touch alive-$$; while :; do sleep 1; done"
    supervisor = supervise(script, 1, user=(uid, gid) if os.geteuid() == 0 else None, shell=["/bin/sh", "-c"])
    (mark,) = place.glob("alive-*")
    part = int(mark.name.removeprefix("alive-"))
    assert os.stat(f"/proc/{part}").st_uid == uid
    supervisor.kill()
    supervisor.wait()
    assert wait_until(lambda: not processes_of(place), GONE_WITHIN), processes_of(place)


def test_a_part_is_asked_before_it_is_killed(place: Path, supervise: Callable[..., subprocess.Popen[bytes]]):
    supervisor = supervise(POLITE, 1)
    supervisor.kill()
    supervisor.wait()
    assert wait_until(lambda: not processes_of(place), GONE_WITHIN)
    assert (place / "asked").read_text() == "SIGTERM"


def test_a_killed_part_takes_its_pool_with_it(place: Path):
    process = part(place, STUBBORN)
    assert wait_until(lambda: len(list(place.glob("alive-*"))) == STUBBORN_PROCESSES, GONE_WITHIN)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(GONE_WITHIN)
    assert process.how_it_ended() == "signal 9"
    assert not processes_of(place)


def test_stopping_asks_first_and_kills_what_does_not_obey(place: Path):
    process = part(place, STUBBORN)
    assert wait_until(lambda: len(list(place.glob("alive-*"))) == STUBBORN_PROCESSES, GONE_WITHIN)
    process.stop(within=0.2)
    assert not processes_of(place)


def test_a_polite_part_ends_with_its_own_status(place: Path):
    process = part(place, POLITE)
    assert wait_until((place / "alive-1").exists, GONE_WITHIN)
    process.stop(within=10)
    assert process.how_it_ended() == "exit status 0"
    assert (place / "asked").read_text() == "SIGTERM"


def test_a_command_that_does_not_exist_says_so_in_the_log(place: Path):
    process = Reaped([str(place / "missing")], log=place / "part.log", cwd=place)
    assert process.wait(GONE_WITHIN)
    assert process.how_it_ended() == "exit status 127"
    assert "cannot run" in process.output()


def test_what_the_reaper_holds_is_held_as_long_as_the_part_lives(place: Path):
    """The next `up` waits on such a lock for the rest of a killed one."""
    readable, writable = os.pipe()
    environment = os.environ | {"CROWD_HOME": str(place)}
    process = Reaped(["sleep", "600"], log=place / "part.log", cwd=place, env=environment, hold=[writable])
    os.close(writable)
    os.set_blocking(readable, False)
    with pytest.raises(BlockingIOError):  # open somewhere
        os.read(readable, 1)
    assert wait_until(lambda: process.pid is not None, GONE_WITHIN)
    assert not any(os.path.samestat(os.stat(file), os.fstat(readable)) for file in open_files(process.pid))
    process.kill()
    assert os.read(readable, 1) == b""  # closed everywhere
    os.close(readable)


def open_files(pid: int | None) -> list[Path]:
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/comm").read_text().strip() != "sleep":  # not yet the command itself
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return [file for file in Path(f"/proc/{pid}/fd").iterdir() if file.exists()]
