"""What the tests of the production files share: the secrets of one installation, and its servers."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.production.files import service
from tests.production.servers import PACKAGES, Postgres, RabbitMQ, programs, run_postgres, run_rabbitmq

PUBLIC_URL = "https://crowd.example.org"


@pytest.fixture(scope="session")
def variables() -> dict[str, str]:
    """What ``docker/make-env`` writes."""
    names = ("CROWD_SECRET_KEY", "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD")
    return {
        "CROWD_PUBLIC_URL": PUBLIC_URL,
        "CROWD_ALLOWED_HOSTS": "crowd.example.org",
        **{name: secrets.token_urlsafe(48) for name in names},
    }


@pytest.fixture(scope="session")
def installed() -> None:
    if len(programs()) == 2:
        return
    message = f"NOT TESTED: the commands of docker/ against real servers. Install them: {PACKAGES}"
    if os.environ.get("CROWD_REQUIRE_SERVERS") == "1":
        pytest.fail(message)
    pytest.skip(message)  # loudly; `.ci/run` makes it a failure


@pytest.fixture(scope="package")
def postgres(installed: None, variables: dict[str, str]) -> Iterator[Postgres]:
    with run_postgres(service("db", variables)) as server:
        yield server


@pytest.fixture(scope="package")
def rabbitmq(installed: None, variables: dict[str, str]) -> Iterator[RabbitMQ]:
    with run_rabbitmq(service("broker", variables)) as server:
        yield server
