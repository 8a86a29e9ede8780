"""One real stack for the whole session, started when the first test asks for it: real PostgreSQL, worker, web server.

Tests share it and keep out of each other's way by making projects of their own.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import django
import pytest
from hypothesis import HealthCheck, settings

from tests.support.client import Client, sign_in_by_link
from tests.support.stack import Stack, start_stack

os.environ["DJANGO_SETTINGS_MODULE"] = "crowd.settings"
# The suite meets its own stack only, never one that happens to run on this machine.
for _name in ("DATABASE_URL", "BROKER_URL", "CROWD_SECRET_KEY", "CROWD_PUBLIC_URL"):
    os.environ.pop(_name, None)
# An example takes as long as it takes: a busy machine is no failure.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    # Hundreds of processes are started: each would compile Django anew. Whoever forbids that means the folders of the
    # source; these modules lie elsewhere, and the session's other processes inherit both variables.
    sys.dont_write_bytecode, sys.pycache_prefix = False, tempfile.mkdtemp(prefix="crowd-tests-bytecode-")
    atexit.register(shutil.rmtree, sys.pycache_prefix, ignore_errors=True)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
os.environ["CROWD_HOME"] = tempfile.gettempdir() + "/crowd-tests-nothing-here"
django.setup()

# Files of few tests that take minutes.
LONG = {"crash", "demo", "commands", "any_order", "server_benchmark", "up"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first: no process is left alone with one of them at the end."""
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in LONG)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    place = Path(tempfile.mkdtemp(prefix="crowd-tests-"))
    # Leaves with us, should we be killed.
    arguments = ("--port", "0", "--leave-with-parent")
    # Receivers of webhooks and remote learners are on this machine, too.
    allowed = {"CROWD_WEBHOOK_HOSTS": "127.0.0.1", "CROWD_REMOTE_LEARNERS": "127.0.0.1"}
    running = start_stack(place / "home", allowed, arguments=arguments)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def manager(stack: Stack) -> Iterator[Client]:
    """The first manager, by API token."""
    with sign_in_by_link(stack.link) as client:
        yield client


@pytest.fixture(scope="session")
def _django_on_the_stack(stack: Stack) -> None:
    """Point Django in this process at the stack's database. Its hints go nowhere: the stack's sweeper needs none."""
    import environ
    from django.db import connections

    environment = stack.environment()
    database = {**connections.settings["default"], **environ.Env.db_url_config(environment["DATABASE_URL"])}
    database["ENGINE"] = "crowd.database"
    connections.settings = connections.configure_settings({"default": database})
    del connections["default"]


@pytest.fixture
def orm(_django_on_the_stack: None) -> Iterator[None]:
    """Services and models in this process, on the stack's database. Whatever a test does is committed."""
    from django.db import connections

    yield
    connections.close_all()
