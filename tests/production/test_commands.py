"""The commands of docker/Dockerfile and docker/compose.yaml, run without containers against real servers.

They are read out of those files, not typed again. Only where things are differs from inside the containers: addresses,
ports, and the folder of the static files.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import psycopg
import pytest

from crowd.supervisor.address import free_port
from crowd.supervisor.process import Reaped
from tests.production.campaign import play
from tests.production.conftest import PUBLIC_URL
from tests.production.files import Service, instructions, service
from tests.production.servers import Postgres, RabbitMQ, attempt, found
from tests.support import client as client_module
from tests.support.client import sign_in_by_link
from tests.support.stack import ROOT, start_stack, wait_until


class Installation:
    """The containers of Crowd itself, as plain processes. Started by root they have an ordinary account's rights."""

    def __init__(self, place: Path, variables: dict[str, str], postgres: Postgres, rabbitmq: RabbitMQ) -> None:
        self.place, self.variables, self.port = place, variables, free_port()
        self.postgres, self.rabbitmq = postgres, rabbitmq
        self._before: list[str] = []
        if os.geteuid() == 0:
            os.chown(place, 65534, 65534)
            # It may read everything (the interpreter may lie in a closed folder) and write nothing.
            capability = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
            self._before = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *capability]

    def service(self, name: str) -> Service:
        return service(name, self.variables)

    def environment(self, of: Service) -> dict[str, str]:
        here = {name: self._address(value) for name, value in of.environment.items()}
        here["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        here |= {"HOSTNAME": socket.gethostname(), "HOME": str(self.place), "TMPDIR": str(self.place)}
        here["CROWD_STATIC_ROOT"] = str(self.place / "static")
        # The image's modules are compiled already.
        del here["PYTHONDONTWRITEBYTECODE"]
        here["PYTHONPYCACHEPREFIX"] = str(self.place / "bytecode")
        return here

    def _address(self, value: str) -> str:
        value = value.replace("@db:5432/", f"@127.0.0.1:{self.postgres.port}/")
        return value.replace("@broker:5672/", f"@127.0.0.1:{self.rabbitmq.port}/")

    def command(self, command: list[str]) -> list[str]:
        here = {"python": sys.executable, "8000": str(self.port), "0.0.0.0": "127.0.0.1"}
        return [*self._before, *(here.get(part, part) for part in command)]

    def once(self, name: str, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a service's command, or another one in its place (`docker compose exec`), to its end."""
        described = self.service(name)
        return attempt(self.command(command or described.command), self.environment(described), cwd=ROOT)

    def start(self, name: str) -> Reaped:
        described = self.service(name)
        return self.run(described.command, self.environment(described), self.place / f"{name}.log")

    def run(self, command: list[str], environment: dict[str, str], log: Path) -> Reaped:
        return Reaped(found(self.command(command), environment), log=log, cwd=ROOT, env=environment)

    def healthy(self, name: str) -> subprocess.CompletedProcess[str]:
        return self.once(name, self.service(name).health)


@pytest.fixture(scope="module")
def prepared(
    variables: dict[str, str], postgres: Postgres, rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """As far as the image's build and the service `migrate` go."""
    made = Installation(tmp_path_factory.mktemp("installation"), variables, postgres, rabbitmq)
    (collect,) = [rest.split(" && ")[0] for name, rest in instructions() if name == "RUN" and "collectstatic" in rest]
    for name, command in (("web", collect.split()), ("migrate", None)):
        done = made.once(name, command)
        assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture(scope="module")
def running(prepared: Installation) -> Iterator[Installation]:
    names = ("web", "worker", "beat")
    parts = {name: prepared.start(name) for name in names}
    try:
        for name, part in parts.items():

            def settled(name: str = name, part: Reaped = part) -> bool:
                return part.poll() is not None or prepared.healthy(name).returncode == 0

            assert wait_until(settled, 240) and part.poll() is None, f"{name}: {part.output()[-5000:]}"
        yield prepared
    finally:
        for part in parts.values():
            part.ask_to_stop()
        for part in parts.values():
            part.stop(10)


class TlsProxy(httpx.HTTPTransport):
    """What stands before the web server in production: people speak https to it, it speaks http and says so.

    It also says where a request comes from, as every browser does: Django insists on that over https.
    """

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.scheme == "https"
        added = [(b"X-Forwarded-Proto", b"https"), (b"Origin", PUBLIC_URL.encode())]
        headers = [*request.headers.raw, *added]  # Host stays the public one
        inside = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        stream, extensions = request.stream, request.extensions
        return super().handle_request(
            httpx.Request(request.method, inside, headers=headers, stream=stream, extensions=extensions)
        )


@pytest.fixture
def proxy(running: Installation, monkeypatch: pytest.MonkeyPatch) -> TlsProxy:
    """Every client of this test goes through the proxy."""
    standing = TlsProxy(running.port)
    monkeypatch.setattr(client_module, "Client", partial(client_module.Client, transport=standing))
    return standing


def documented(name: str) -> list[str]:
    """A management command as docs/production.md gives it."""
    text = (ROOT / "docs" / "production.md").read_text()
    line = re.search(rf"docker compose exec web (python manage\.py {name}.*)$", text, re.MULTILINE)
    assert line, name
    return line[1].split()


def test_a_campaign_runs_on_the_commands_of_the_compose_file(
    running: Installation, proxy: TlsProxy, rabbitmq: RabbitMQ
):
    made = running.once("web", documented("sign_in_link"))
    link = made.stdout.strip()
    assert link.startswith(f"{PUBLIC_URL}/sign-in#"), made.stdout + made.stderr
    with sign_in_by_link(link) as manager:
        play(manager)
    queues = rabbitmq.queues()
    assert "crowd" in queues
    # RabbitMQ 4.3 refuses what is neither.
    assert all(queue["durable"] or queue["exclusive"] for queue in queues.values()), queues


def test_static_files_come_from_the_collected_folder(running: Installation, proxy: TlsProxy):
    names = [path for path in (running.place / "static").rglob("*.js") if path.is_file()]
    assert names
    with httpx.Client(base_url=PUBLIC_URL, transport=proxy) as browser:
        answer = browser.get("/static/" + names[0].relative_to(running.place / "static").as_posix())
        assert answer.status_code == 200 and answer.content == names[0].read_bytes()


def test_plain_http_is_sent_to_https_and_strange_hosts_are_refused(running: Installation):
    with httpx.Client(base_url=f"http://127.0.0.1:{running.port}") as outside:
        answer = outside.get("/annotate/", headers={"Host": "crowd.example.org"})
        assert (answer.status_code, answer.headers["Location"]) == (301, f"{PUBLIC_URL}/annotate/")
        answer = outside.get("/annotate/", headers={"Host": "elsewhere.example.org"})
        assert answer.status_code == 400


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_a_health_check_tells_when_its_part_is_not_there(prepared: Installation, variables: dict[str, str], name: str):
    """Another installation on the same servers, none of whose parts runs."""
    other = Installation(prepared.place, variables, prepared.postgres, prepared.rabbitmq)
    environment = other.environment(other.service(name)) | {"HOSTNAME": "not-there"}
    if name == "beat":  # its check looks for a connection, which the beat of the first installation has
        environment["BROKER_URL"] = re.sub(r":\d+//$", f":{free_port()}//", environment["BROKER_URL"])
    done = attempt(other.command(other.service(name).health), environment, cwd=ROOT)
    assert done.returncode != 0
    assert done.stdout + done.stderr


def test_the_deployment_check_passes(prepared: Installation):
    check = ["python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = prepared.once("web", check)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_a_part_refuses_to_start_without_its_settings(prepared: Installation, tmp_path: Path, name: str):
    environment = prepared.environment(prepared.service(name)) | {"CROWD_HOME": str(tmp_path)}
    del environment["CROWD_SECRET_KEY"]
    # The web server starts its workers again and again: what they load is what refuses.
    command = ["python", "-c", "import crowd.wsgi"] if name == "web" else prepared.service(name).command
    part = prepared.run(command, environment, tmp_path / "log")
    try:
        assert wait_until(
            lambda: part.poll() is not None or "ready." in part.output() or "Sending due task" in part.output(), 60
        )
        assert part.poll() not in (0, None), part.output()
        assert "CROWD_SECRET_KEY is not set" in part.output()
    finally:
        part.stop(10)


# --- `manage.py up` with servers of one's own ---------------------------------------------------------------------


def has_queue_schema(url: str) -> bool:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT to_regnamespace('pgmq') IS NOT NULL").fetchone()
        return bool(row and row[0])


@pytest.mark.parametrize("with_broker", [False, True], ids=["database", "database-and-broker"])
def test_up_takes_the_servers_it_is_given(
    postgres: Postgres, request: pytest.FixtureRequest, tmp_path: Path, with_broker: bool
):
    """A database alone is the broker too; with both, nothing is embedded and nothing is put into the database."""
    url = postgres.create(f"up_{with_broker}".lower())
    environment = {"DATABASE_URL": url}
    if with_broker:
        environment["BROKER_URL"] = request.getfixturevalue("rabbitmq").create("up")
    stack = start_stack(tmp_path / "home", environment)
    try:
        assert f"yours at 127.0.0.1:{postgres.port}" in stack.output()
        assert "database" not in stack.pids()
        assert has_queue_schema(url) is not with_broker
        with sign_in_by_link(stack.link) as manager:
            play(manager)
    finally:
        stack.stop()
    assert not list((tmp_path / "home" / "database").iterdir())
    assert not stack.survivors()
