"""A crowd over HTTP: people with tokens, who join whatever campaign a test makes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from projects.models import Member, User
from projects.services.accounts import create_api_token
from tests.services.campaign import Campaign, unique
from tests.services.conftest import _no_hints_from_this_process  # noqa: F401  (a fixture)
from tests.support.client import Client
from tests.support.stack import Stack


class Person:
    """Somebody with an API token; ``client`` speaks for them."""

    def __init__(self, url: str) -> None:
        self.user = User.objects.create(name=unique("person"))
        self.client = Client(url, create_api_token(user=self.user, name="tests")[1])

    def member_of(self, campaign: Campaign) -> Member:
        return Member.objects.select_related("project").get(project=campaign.id, user=self.user)


@pytest.fixture(scope="session")
def crowd(stack: Stack, _django_on_the_stack: None) -> Iterator[list[Person]]:
    """Sixteen people."""
    with ExitStack() as clients:
        people = [Person(stack.url) for _ in range(16)]
        for person in people:
            clients.enter_context(person.client)
        yield people


@pytest.fixture
def campaign(orm: None) -> Callable[..., Campaign]:
    """Makes campaigns that the stack's own worker looks after."""
    return Campaign
