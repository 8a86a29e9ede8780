"""The data directory: secrets made once, one owner at a time, and who is running."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crowd.supervisor import home as home_module
from crowd.supervisor.home import AlreadyRunning, Home, own_environment, running_environment, secret_file
from tests.support.stack import ROOT, wait_until

OWNER = """
import pathlib, subprocess, sys, time
from crowd.supervisor.home import Home
home = Home(pathlib.Path(sys.argv[1]))
home.own("http://127.0.0.1:8000")
home.publish({"DATABASE_URL": "postgresql://there"})
child = subprocess.Popen(["sleep", "600"], close_fds=False)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROWD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def owner(place: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that owns the directory, with a child that knows nothing of it."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", OWNER, str(place)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        yield process, child
        process.kill()
        os.kill(child, signal.SIGKILL)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_and_for_this_account_only(place: Path):
    home = Home()
    home.own("http://127.0.0.1:8000")
    first = home.secret("django_secret_key")
    assert len(first) >= 50
    assert home.secret("django_secret_key") == first
    assert home.secret("database_password") != first
    assert mode(place) == 0o700
    assert {mode(path) for path in (place / "secrets").iterdir()} == {0o600}
    home.release()


def test_a_secret_that_somebody_else_made_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "secret"

    def make_it_first(source: Path, target: Path) -> None:
        path.write_text("theirs")
        raise FileExistsError

    monkeypatch.setattr(home_module.os, "link", make_it_first)
    assert secret_file(path) == "theirs"
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_a_second_owner_is_told_who_the_first_one_is(owner: tuple[subprocess.Popen[str], int]):
    with pytest.raises(AlreadyRunning, match=f"pid {owner[0].pid}, http://127.0.0.1:8000"):
        Home().own("http://127.0.0.1:9000")


def test_a_killed_owner_owns_nothing_though_its_pid_is_written_down_and_its_children_live(
    place: Path, owner: tuple[subprocess.Popen[str], int]
):
    process, child = owner
    process.kill()
    process.wait()
    (place / "up.lock").write_text(f"pid {os.getpid()}, http://127.0.0.1:8000")  # a live process by now
    home = Home()
    home.own("http://127.0.0.1:9000")
    home.release()
    os.kill(child, 0)


def test_the_next_owner_waits_for_the_parts_of_a_killed_one(place: Path):
    first = Home()
    first.own("http://127.0.0.1:8000")
    (handle,) = first.held_by_parts
    reaper = subprocess.Popen(["sleep", "1"], pass_fds=[handle])
    first.release()
    second = Home()
    second.own("http://127.0.0.1:9000")
    assert reaper.wait(0) == 0
    second.release()


def test_other_commands_find_the_running_stack(place: Path, owner: tuple[subprocess.Popen[str], int]):
    assert running_environment()["DATABASE_URL"] == "postgresql://there"
    assert mode(place / "run" / "environment.json") == 0o600


def test_a_killed_stack_is_not_found(place: Path, owner: tuple[subprocess.Popen[str], int]):
    owner[0].kill()
    owner[0].wait()
    assert (place / "run" / "environment.json").exists()
    assert running_environment() == {}


def test_nothing_is_found_where_nothing_ever_ran(place: Path):
    assert running_environment() == {}
    assert not place.exists()


def test_looking_for_a_stack_does_not_keep_another_one_from_starting(place: Path):
    home = Home()
    home.own("http://127.0.0.1:8000")
    home.publish({"DATABASE_URL": "postgresql://there"})
    home.release()
    look = f"import os\nos.environ['CROWD_HOME'] = {str(place)!r}\nfrom crowd.supervisor.home import *\n"
    look += "while True: running_environment()"
    with subprocess.Popen([sys.executable, "-c", look], env=os.environ | {"PYTHONPATH": str(ROOT)}) as looking:
        wait_until(lambda: looking.poll() is not None, 0.3)
        for _ in range(20):
            home.own("http://127.0.0.1:8000")
            home.release()
        looking.kill()


def test_a_stack_of_our_own_does_not_take_the_database_of_a_running_one(
    owner: tuple[subprocess.Popen[str], int], monkeypatch: pytest.MonkeyPatch
):
    """The settings fill the environment from a running stack; `up` and `demo` must not believe that."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("BROKER_URL", "amqp://chosen")
    for name, value in running_environment().items():
        monkeypatch.setenv(name, os.environ.get(name, value))
    assert os.environ["DATABASE_URL"] == "postgresql://there"
    assert "DATABASE_URL" not in own_environment()
    assert own_environment()["BROKER_URL"] == "amqp://chosen"
