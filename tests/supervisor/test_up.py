"""`manage.py up` as people meet it: real processes, real signals, as root and as an ordinary user."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from crowd.supervisor import reaper
from tests.supervisor.conftest import ACCOUNTS, Account
from tests.support.client import Client, create_project, sign_in_by_link, upload, wait_for
from tests.support.stack import ROOT, UP, Stack, processes_of, start_stack, wait_until

GONE_WITHIN = 60.0  # generous: the machine may be busy
RESTARTED_WITHIN = 180.0
#: For what is in the database's and the settings' hands, whoever runs the stack: each start takes seconds.
of_one_account = pytest.mark.parametrize("account", ACCOUNTS[:1], indirect=True, scope="package")


def start(account: Account, home: Path, **options: object) -> Stack:
    return start_stack(home, account.environment, before=account.before, **options)


@pytest.fixture(scope="module")
def used_home(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory below closed folders, on which the tests of this file start one after the other."""
    return account.own_directory(tmp_path_factory.mktemp(f"up-{account.name}") / "home")


class Shared:
    """The stack of this file: one after the other on the same data, for a start takes seconds."""

    def __init__(self, account: Account, home: Path) -> None:
        self.account, self.home = account, home
        self.current: Stack | None = None

    def running(self) -> Stack:
        if self.current is None or self.current.process.poll() is not None:
            self.current = start(self.account, self.home)
        return self.current


@pytest.fixture(scope="module")
def shared(account: Account, used_home: Path) -> Iterator[Shared]:
    shared = Shared(account, used_home)
    yield shared
    if shared.current:
        shared.current.stop(signal.SIGHUP)  # as a closed terminal does
        assert not shared.current.survivors()


@pytest.fixture
def stack(shared: Shared) -> Stack:
    return shared.running()


def rows(stack: Stack, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(stack.environment()["DATABASE_URL"], autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def answers(stack: Stack) -> bool:
    try:
        return httpx.get(stack.url + "/health/live", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def manage(account: Account, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | account.environment | {"CROWD_HOME": str(home)}
    command = [*account.before, sys.executable, str(ROOT / "manage.py"), *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=180)


# --- running ---------------------------------------------------------------------------------


def test_it_says_what_runs_where_and_how_to_sign_in(stack: Stack):
    for line in (
        r"^database   ready on 127\.0\.0\.1:\d+ \(\d+\.\d s\)$",
        r"^schema     up to date \(\d+\.\d s\)$",
        rf"^web        ready on {stack.url} \(\d+\.\d s\)$",
        r"^worker     ready \(\d+\.\d s\)$",
        r"^beat       ready \(\d+\.\d s\)$",
    ):
        assert re.search(line, stack.output(), re.MULTILINE), f"{line} not in\n{stack.output()}"
    assert stack.link.startswith(f"{stack.url}/sign-in#")
    assert answers(stack)


def test_the_data_directory_is_closed_and_so_is_every_secret(stack: Stack):
    private = [
        *(stack.home / "secrets").iterdir(),
        *(stack.home / "run").glob("*.json"),
        *(stack.home / "log").iterdir(),
    ]
    assert {path.name for path in private} >= {"django_secret_key", "database_password", "environment.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert stat.S_IMODE(stack.home.stat().st_mode) == 0o700


def test_every_part_runs_with_the_rights_it_needs(stack: Stack, account: Account):
    pids = stack.pids()
    users = {name: os.stat(f"/proc/{pid}").st_uid for name, pid in pids.items()}
    assert users.pop("database") != 0
    assert set(users.values()) == {account.uid}
    assert set(pids) == {"supervisor", "database", "web", "worker", "beat"}


def test_no_secret_is_in_a_command_line_or_in_a_log(stack: Stack):
    secrets = [path.read_text() for path in (stack.home / "secrets").iterdir()] + [stack.link.partition("#")[2]]
    shown = "".join(processes_of(stack.home).values())
    shown += "".join(path.read_text(errors="replace") for path in (stack.home / "log").iterdir())
    assert not [secret for secret in secrets if secret in shown]


def test_other_commands_find_the_running_stack(stack: Stack, account: Account):
    done = manage(account, stack.home, "sign_in_link", "alice")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{stack.url}/sign-in#")
    assert rows(stack, "SELECT 1 FROM projects_user WHERE name = 'alice'")


def test_a_second_up_is_refused_and_told_who_runs(stack: Stack, account: Account):
    second = manage(account, stack.home, "up", "--port", "0")
    assert second.returncode == 1
    assert second.stdout == f"already running on this data directory: pid {stack.process.pid}, {stack.url}\n"
    assert answers(stack)


@pytest.mark.parametrize(
    ("part", "victim"),
    [
        ("database", "part"),
        ("web", "part"),
        ("worker", "part"),
        ("beat", "part"),
        ("database", "reaper"),
        ("worker", "reaper"),
    ],
)
def test_what_dies_is_restarted_and_leaves_nothing_of_its_former_self(stack: Stack, part: str, victim: str):
    pid = stack.pids()[part]
    above = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    former = {pid, *reaper.descendants(pid)}
    already_said = len(stack.output())
    os.kill(pid if victim == "part" else above, signal.SIGKILL)
    said = rf"^{part:<10} died \(signal 9\), restart[\s\S]*^{part:<10} ready"
    assert wait_until(lambda: re.search(said, stack.output()[already_said:], re.MULTILINE), RESTARTED_WITHIN), (
        stack.output()
    )
    assert not former & set(processes_of(stack.home))
    assert wait_until(lambda: answers(stack), RESTARTED_WITHIN)
    assert rows(stack, "SELECT 1") == [(1,)]


# --- the end ---------------------------------------------------------------------------------


def test_it_stops_within_5_seconds_and_keeps_what_it_knows(shared: Shared, stack: Stack):
    rows(stack, "CREATE TABLE kept AS SELECT 42 AS answer")
    key = stack.environment()["CROWD_SECRET_KEY"]
    stack.process.send_signal(signal.SIGINT)
    assert wait_until(lambda: stack.process.poll() is not None, GONE_WITHIN), stack.output()
    assert stack.process.returncode == 0
    assert "stopped" in stack.output()
    assert not stack.survivors()
    again = shared.running()
    assert rows(again, "SELECT answer FROM kept") == [(42,)]
    assert again.environment()["CROWD_SECRET_KEY"] == key
    assert again.link != stack.link


def test_nothing_is_left_after_kill_9_while_the_worker_answers_no_signal(shared: Shared, stack: Stack):
    """A process that stands still takes no SIGTERM: it has to be killed."""
    for pid in [stack.pids()["worker"], *reaper.descendants(stack.pids()["worker"])]:
        os.kill(pid, signal.SIGSTOP)
    rows(stack, "CREATE TABLE before_kill AS SELECT 42 AS answer")
    stack.kill9()
    assert wait_until(lambda: not stack.survivors(), GONE_WITHIN), stack.survivors()
    assert rows(shared.running(), "SELECT answer FROM before_kill") == [(42,)]


@of_one_account
@pytest.mark.parametrize("held", ["projects_livemodel", "projects_taskstate"])
def test_kill_9_in_the_middle_of_a_refit_and_the_next_start_finishes_it(shared: Shared, stack: Stack, held: str):
    """Killed while nothing of the refit is current yet, and while some of it is published."""
    manager = sign_in_by_link(stack.link)
    project = create_project(manager, redundancy=5)
    upload(manager, project, [{"key": str(n), "data": {"n": n}} for n in range(20)])
    import_votes(manager, project, "Ada", range(20))
    wait_for(lambda: is_quiet(manager, project), 60, "the first refit")
    done = len(refits_of(manager, project))
    assert {run["status"] for run in refits_of(manager, project)} == {"done"}

    with closing(psycopg.connect(stack.environment()["DATABASE_URL"])) as somebody:
        # Of the tasks it is number 0 whose row we hold: an import of votes on that one would wait, too.
        row = "task_id = (SELECT id FROM projects_task WHERE key = '0' AND project_id = %s)"
        somebody.execute(
            f"SELECT 1 FROM {held} WHERE {row if held == 'projects_taskstate' else 'project_id = %s'} FOR UPDATE",
            [project],
        )
        import_votes(manager, project, "Bob", range(1, 20))
        waiting = f"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ '{held}'"
        wait_for(lambda: rows(stack, waiting), 60, "a refit that waits for our lock")
        stack.kill9()
        assert wait_until(lambda: not stack.survivors(), GONE_WITHIN), stack.survivors()
    manager.close()

    again = shared.running()
    with Client(again.url, manager.token) as manager:
        wait_for(lambda: is_quiet(manager, project), 60, "the refit after the kill")
        interrupted, *rest = refits_of(manager, project)[done:]
        assert (interrupted["status"], interrupted["error"]) == ("failed", "interrupted")
        assert rest and {run["status"] for run in rest} == {"done"}
        assert rest[-1]["counts"]["votes"] == 39
        labels = manager.get(f"/api/projects/{project}/consensus.jsonl").text.splitlines()
        votes = {row["key"]: (row["votes"], row["label"]) for row in map(json.loads, labels)}
        assert votes == {str(n): (2 if n else 1, label_of(n)) for n in range(20)}


def label_of(task: int) -> str:
    return "dog" if task % 3 else "cat"


def import_votes(manager: Client, project: int, worker: str, tasks: Iterable[int]) -> None:
    content = "task,worker,label\n" + "".join(f"{n},{worker},{label_of(n)}\n" for n in tasks)
    path = f"/api/projects/{project}/votes/import"
    manager.ok("POST", path, content=content.encode(), headers={"Content-Type": "text/csv"})


def refits_of(manager: Client, project: int) -> list[dict[str, Any]]:
    """Oldest first."""
    return [run for run in manager.pages(f"/api/projects/{project}/runs") if run["kind"] == "refit"][::-1]


def is_quiet(manager: Client, project: int) -> bool:
    """There is nothing left to refit, and nothing is being refitted."""
    statistics = manager.ok("GET", f"/api/projects/{project}/statistics")
    busy = statistics["refit_pending"] or any(run["status"] == "running" for run in refits_of(manager, project))
    return statistics["refits"] > 0 and not busy


def test_an_up_right_after_a_kill_waits_for_what_is_still_ending(shared: Shared, stack: Stack):
    former = set(stack.survivors())
    stack.kill9()
    again = shared.running()
    assert not former & set(again.survivors())
    assert answers(again)


# --- starting --------------------------------------------------------------------------------


def test_a_taken_port_is_refused_before_anything_starts(account: Account, home: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = manage(account, home, "up", "--port", port)
    assert done.returncode == 1
    assert done.stdout == f"port {port} is taken; choose another, or 0 for any free one\n"


@of_one_account
def test_a_part_that_cannot_start_is_named_with_its_last_words_and_nothing_stays(account: Account, home: Path):
    stack = start_stack(
        home, account.environment | {"CROWD_SWEEP_SECONDS": "often"}, before=account.before, ready=False
    )
    assert wait_until(lambda: stack.process.poll() is not None, 60)
    assert stack.process.returncode != 0
    assert "CROWD_SWEEP_SECONDS" in stack.output() or "often" in stack.output()
    assert not stack.survivors()


@of_one_account
def test_a_database_that_is_not_there_is_named_without_its_password(account: Account, home: Path):
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{nobody_listens.getsockname()[1]}"
        environment = account.environment | {"DATABASE_URL": f"postgresql://me:hidden@{place}/crowd"}
        stack = start_stack(home, environment, before=account.before, ready=False)
        assert wait_until(lambda: stack.process.poll() is not None, 60)
    assert stack.process.returncode == 1
    assert place in stack.output()
    assert "hidden" not in stack.output()
    assert not stack.survivors()


@of_one_account
def test_a_given_database_takes_the_place_of_the_embedded_one(stack: Stack, account: Account, home: Path):
    """With no broker given, the queue lives in that database too: here in that of the other stack."""
    url = stack.environment()["DATABASE_URL"]
    rows(stack, "CREATE DATABASE theirs")
    second = start_stack(
        home, account.environment | {"DATABASE_URL": url.rpartition("/")[0] + "/theirs"}, before=account.before
    )
    assert set(second.pids()) == {"supervisor", "web", "worker", "beat"}
    assert second.environment()["BROKER_URL"].startswith("pgmq://")
    assert second.environment()["BROKER_URL"].endswith("/theirs")
    assert answers(second)
    assert second.stop(signal.SIGTERM) == 0
    assert not second.survivors()
    assert answers(stack)


@of_one_account
def test_a_killed_program_takes_the_stack_it_uses_and_its_data_with_it(account: Account, tmp_path: Path):
    """`manage.py demo` and others: `running_stack()` on a throw-away data directory."""
    place = account.own_directory(tmp_path / "temporary")
    program = "import time\nfrom crowd.supervisor.stack import running_stack\n"
    program += "with running_stack() as stack:\n    print(stack.home, stack.url, flush=True)\n    time.sleep(600)"
    command = [*account.before, sys.executable, "-c", program]
    paths = os.pathsep.join([str(account.wheel), str(ROOT)])
    environment = os.environ | account.environment | {"TMPDIR": str(place), "PYTHONPATH": paths}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout
        home, url = demo.stdout.readline().split()
        assert httpx.get(url + "/health/live").status_code == 200
        demo.kill()
    assert wait_until(lambda: not processes_of(Path(home)), GONE_WITHIN), processes_of(Path(home))
    assert wait_until(lambda: not Path(home).exists(), GONE_WITHIN)


def test_up_needs_no_settings_and_tells_its_options():
    done = subprocess.run(
        [*UP, "--help"], capture_output=True, text=True, timeout=180, env={"PATH": os.environ["PATH"]}
    )
    assert done.returncode == 0
    assert "--port" in done.stdout and "throw-away" not in done.stdout
