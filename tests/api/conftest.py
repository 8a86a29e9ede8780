"""The cast of the API tests, real people on the real stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.api.support import Cast, Database, enrol
from tests.support.client import Client, create_project, join, sign_in_by_link
from tests.support.stack import Stack


@pytest.fixture(scope="session")
def db(stack: Stack) -> Iterator[Database]:
    database = Database(stack.environment()["DATABASE_URL"])
    yield database
    database.connection.close()


@pytest.fixture(scope="session")
def new_link(stack: Stack, _django_on_the_stack: None) -> Callable[[str], str]:
    """Makes a one-time sign-in link, as `manage.py sign_in_link` does (a process of its own takes seconds)."""
    from django.db import connections

    from projects.services.accounts import make_sign_in_link

    def make(name: str) -> str:
        try:
            return make_sign_in_link(username=name, base_url=stack.url)
        finally:
            connections.close_all()

    return make


@pytest.fixture(scope="session")
def cast(manager: Client, new_link: Callable[[str], str]) -> Iterator[Cast]:
    olga = sign_in_by_link(new_link("olga.of.api"))
    lobby = create_project(manager, name="Lobby")
    names = ("ada", "bob", "cole", "rita", "fred")
    ada, bob, cole, rita, fred = (join(manager, lobby, f"{name}.of.api") for name in names)
    yield Cast(mary=manager, ada=ada, bob=bob, cole=cole, rita=rita, olga=olga, fred=fred)
    for person in (ada, bob, cole, rita, olga, fred):
        person.close()


@pytest.fixture(scope="module")
def project(cast: Cast) -> int:
    """A project of this module: Mary manages it, Ada and Bob annotate, Cole consumes."""
    number = create_project(cast.mary)
    for person, role in ((cast.ada, "annotator"), (cast.bob, "annotator"), (cast.cole, "consumer")):
        enrol(cast.mary, number, person, role)
    return number
