"""PostgreSQL and RabbitMQ from Debian's packages: instances of our own, on loopback, in a folder of their own.

They are started with the commands and the environment of the compose file; what the images' entry points do (making the
database and the account that the environment names) is done here. The system's own services are not touched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from crowd.supervisor.address import free_port
from crowd.supervisor.binaries import Account, account_for
from crowd.supervisor.process import Reaped
from tests.production.files import Service
from tests.support.stack import wait_until

PACKAGES = "apt-get install --no-install-recommends postgresql rabbitmq-server"
READY_WITHIN = 240.0


def programs() -> list[Path]:
    """The folders of PostgreSQL's and RabbitMQ's programs; fewer when something is not installed."""
    postgres = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    # Not the scripts on the PATH: those insist on the system's own account and folder.
    rabbitmq = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    return [path.parent for path in [*postgres[-1:], rabbitmq] if path.exists()]


@dataclass(frozen=True)
class Postgres:
    port: int
    user: str
    password: str
    environment: dict[str, str]
    process: Reaped

    def url(self, database: str) -> str:
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return self.url(database)


@dataclass(frozen=True)
class RabbitMQ:
    port: int
    url: str
    environment: dict[str, str]
    account: Account | None
    process: Reaped

    def queues(self) -> dict[str, dict[str, bool]]:
        """By name, whether each is durable and exclusive."""
        listed = self._control("list_queues", "--formatter", "json", "name", "durable", "exclusive")
        return {row.pop("name"): row for row in json.loads(listed)}

    def create(self, vhost: str) -> str:
        """A virtual host of its own for another installation."""
        self._control("add_vhost", vhost)
        self._control("set_permissions", "--vhost", vhost, self.environment["RABBITMQ_DEFAULT_USER"], ".*", ".*", ".*")
        return self.url.removesuffix("//") + f"/{vhost}"

    def _control(self, *arguments: str) -> str:
        return succeed(["rabbitmqctl", "--quiet", *arguments], self.environment, self.account)


@contextmanager
def run_postgres(service: Service) -> Iterator[Postgres]:
    with folder() as (place, account):
        port, environment = free_port(), server_environment(place)
        user, password = service.environment["POSTGRES_USER"], service.environment["POSTGRES_PASSWORD"]
        password_file = place / "password"
        password_file.write_text(password)
        give(password_file, account)
        make = ["initdb", "-D", str(place / "data"), f"--username={user}", f"--pwfile={password_file}", "--no-sync"]
        # Not all of POSTGRES_INITDB_ARGS: Debian 12's PostgreSQL is older than the builtin locales.
        make += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        succeed(make, environment, account)
        command = [*service.command, "-D", str(place / "data"), "-c", f"port={port}"]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        process = run(command, place, environment, account)
        try:
            environment |= {"PGPORT": str(port)}
            wait_until_healthy(service.health, environment, process)
            server = Postgres(port, user, password, environment, process)
            server.create(service.environment["POSTGRES_DB"])
            yield server
        finally:
            process.kill()


@contextmanager
def run_rabbitmq(service: Service) -> Iterator[RabbitMQ]:
    with folder() as (place, account):
        port = free_port()
        environment = server_environment(place) | {
            "RABBITMQ_DEFAULT_USER": service.environment["RABBITMQ_DEFAULT_USER"],
            "RABBITMQ_DEFAULT_PASS": service.environment["RABBITMQ_DEFAULT_PASS"],
            "RABBITMQ_NODENAME": f"crowd-tests-{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(place / "data"),
            "RABBITMQ_LOG_BASE": str(place / "logs"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILES": str(place / "no-configuration"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "no-plugins"),
        }
        process = run(["rabbitmq-server"], place, environment, account)
        try:
            check = [str(port) if part == "5672" else part for part in service.health]
            wait_until_healthy(check, environment, process, account)
            name, password = environment["RABBITMQ_DEFAULT_USER"], environment["RABBITMQ_DEFAULT_PASS"]
            url = f"amqp://{name}:{password}@127.0.0.1:{port}//"
            yield RabbitMQ(port, url, environment, account, process)
        finally:
            process.kill()


@contextmanager
def folder() -> Iterator[tuple[Path, Account | None]]:
    """A folder that belongs to the account of the server: PostgreSQL refuses to run as root."""
    # pytest's own folders are closed to other accounts, and root's TMPDIR may be.
    place = Path(tempfile.mkdtemp(prefix="crowd-servers-", dir="/tmp" if os.geteuid() == 0 else None))
    account = account_for(place / "none-yet")
    try:
        give(place, account)
        yield place, account
    finally:
        shutil.rmtree(place, ignore_errors=True)


def give(path: Path, account: Account | None) -> None:
    if account:
        os.chown(path, *account)


def server_environment(place: Path) -> dict[str, str]:
    path = os.pathsep.join([*map(str, programs()), os.environ["PATH"]])
    return {"PATH": path, "HOME": str(place), "LC_ALL": "C.UTF-8"}


def found(command: list[str], environment: dict[str, str]) -> list[str]:
    """The command as its own PATH finds it, not ours."""
    return [shutil.which(command[0], path=environment["PATH"]) or command[0], *command[1:]]


def run(command: list[str], place: Path, environment: dict[str, str], account: Account | None) -> Reaped:
    return Reaped(found(command, environment), log=place / "log", cwd=place, env=environment, user=account)


def attempt(
    command: list[str], environment: dict[str, str], account: Account | None = None, cwd: Path | str = "/"
) -> subprocess.CompletedProcess[str]:
    rights = {"user": account[0], "group": account[1], "extra_groups": []} if account else {}
    return subprocess.run(
        found(command, environment),
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        **rights,
    )


def succeed(command: list[str], environment: dict[str, str], account: Account | None = None) -> str:
    done = attempt(command, environment, account)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def wait_until_healthy(
    check: list[str], environment: dict[str, str], process: Reaped, account: Account | None = None
) -> None:
    def settled() -> bool:
        return process.poll() is not None or attempt(check, environment, account).returncode == 0

    assert wait_until(settled, READY_WITHIN) and process.poll() is None, process.output()[-5000:]
