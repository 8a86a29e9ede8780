"""The way past Django for plain votes and leases: the same answers, and nothing that Django would refuse."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.utils import timezone

from crowd.database import lent
from crowd.quick import KEPT_HEADERS, QuickLane
from projects import access
from projects.models import Action, Assignment, Member, TaskState, Vote
from projects.services.accounts import create_api_token
from projects.services.projects import configure_project
from projects.services.sanctions import sanction
from tests.services.campaign import Campaign, assert_state_is_fresh, other_connection
from tests.support.client import wait_for

Make = Callable[..., Campaign]


class Lane:
    """The application of a web process, called as a server calls it; ``asked`` counts what came to Django."""

    def __init__(self) -> None:
        django, self.asked = get_wsgi_application(), 0

        def counted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            self.asked += 1
            return django(environ, start_response)

        self.application = QuickLane(counted)

    def post(self, path: str, token: str, body: Any, **more: str) -> tuple[int, dict[str, str], Any]:
        text = json.dumps(body).encode()
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_AUTHORIZATION": f"Bearer {token}",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(text)),
            "wsgi.input": io.BytesIO(text),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
            **more,
        }
        started: list[Any] = []
        parts = self.application(environ, lambda *arguments: started.append(arguments))
        text = b"".join(parts)
        getattr(parts, "close", lambda: None)()
        ((status, headers),) = started
        answer = json.loads(text) if dict(headers)["Content-Type"] == "application/json" else None
        return int(status.split()[0]), dict(headers), answer


@pytest.fixture
def lane(orm: None) -> Iterator[Lane]:
    yield Lane()
    while lent._free:
        lent._free.pop().close()


class Annotator:
    def __init__(self, lane: Lane, c: Campaign, annotator: int) -> None:
        self.lane, self.c, self.annotator = lane, c, annotator
        self.token = create_api_token(user=c.annotators[annotator].user, name="tests")[1]

    def lease(self, count: int = 1, **more: str) -> tuple[int, dict[str, str], Any]:
        return self.lane.post(f"/api/projects/{self.c.id}/assignments", self.token, {"count": count}, **more)

    def vote(
        self, assignment: str, label: str = "cat", query: str = "?next=1", **more: str
    ) -> tuple[int, dict[str, str], Any]:
        votes = [{"assignment": assignment, "label": label, "seconds": 1.5}]
        return self.lane.post(f"/api/projects/{self.c.id}/votes{query}", self.token, {"votes": votes}, **more)

    def at_work(self) -> str:
        """An assignment, once Django has answered a lease and a vote: from now on there is the quick lane."""
        held = self.lease()[2]["assignments"][0]["id"]
        _, _, answer = self.vote(held)
        self.lane.asked = 0
        return str(answer["assignments"][0]["id"])


@pytest.fixture
def ann(lane: Lane, campaign: Make) -> Iterator[Annotator]:
    c = campaign(tasks=12, annotators=2, redundancy=2)
    with c.alone():  # who waits too long for a refit's locks is answered by Django, whose answers are counted here
        yield Annotator(lane, c, 0)


def test_what_django_has_answered_before_goes_past_it_with_the_same_headers_and_shape(ann: Annotator) -> None:
    first = ann.lease()
    second = ann.vote(first[2]["assignments"][0]["id"])
    assert ann.lane.asked == 2

    third = ann.vote(second[2]["assignments"][0]["id"])
    fourth = ann.lease()

    assert ann.lane.asked == 2
    for by_django, past_it in ((second, third), (first, fourth)):
        assert past_it[0] == by_django[0] == 200
        assert {**past_it[1], "Content-Length": ""} == {**by_django[1], "Content-Length": ""}
        assert past_it[2].keys() == by_django[2].keys()
    (leased,) = third[2]["assignments"]
    assert leased.keys() == second[2]["assignments"][0].keys()
    assert third[2]["results"] == [{"assignment": second[2]["assignments"][0]["id"], "status": "counted"}]
    assert fourth[2] == {"assignments": [leased], "status": "ok"}
    assert Vote.objects.filter(project=ann.c.id).count() == 2
    assert_state_is_fresh(ann.c.project)


def test_a_vote_alone_goes_past_django_too(ann: Annotator) -> None:
    held = ann.at_work()

    assert ann.vote(held, query="")[2] == {"results": [{"assignment": held, "status": "counted"}]}
    assert ann.lane.asked == 0


def test_the_last_vote_says_that_nothing_is_left(ann: Annotator) -> None:
    held = ann.at_work()
    for _ in range(10):
        answer = ann.vote(held)[2]
        held = answer["assignments"][0]["id"]

    assert ann.vote(held)[2]["status"] == "finished"
    assert ann.lane.asked == 0
    assert ann.lease()[2] == {"assignments": [], "status": "finished"}


def test_a_repeat_a_late_vote_and_a_wrong_label_are_answered_by_django(ann: Annotator) -> None:
    held = ann.at_work()
    following = ann.vote(held)[2]["assignments"][0]["id"]

    assert ann.vote(held)[2]["results"] == [{"assignment": held, "status": "counted"}]
    assert ann.vote(held, "dog")[0] == 409
    assert ann.vote(following, "horse")[0] == 400
    Assignment.objects.filter(id=following).update(expires_at=timezone.now() - timedelta(hours=1))
    assert ann.vote(following)[2]["results"] == [{"assignment": following, "status": "counted"}]
    assert ann.lane.asked == 4
    assert Vote.objects.filter(project=ann.c.id).count() == 3


@pytest.mark.parametrize(
    ("change", "status"),
    [("revoked", 401), ("inactive", 401), ("removed", 404), ("consumer", 404), ("paused", 409), ("blocked", 403)],
)
def test_whoever_may_no_more_is_refused_at_once(ann: Annotator, change: str, status: int) -> None:
    held, c = ann.at_work(), ann.c
    member, user = c.member(0), c.annotators[0].user
    manager = Member.objects.get(project=c.id, user=c.manager)
    {
        "revoked": lambda: user.api_tokens.update(revoked_at=timezone.now()),
        "inactive": lambda: type(user).objects.filter(id=user.id).update(is_active=False),
        "removed": lambda: Member.objects.filter(id=member.id).update(user=None),
        "consumer": lambda: Member.objects.filter(id=member.id).update(role="consumer"),
        "paused": lambda: c.fresh().__class__.objects.filter(id=c.id).update(status="paused"),
        "blocked": lambda: sanction(annotator=member, action=Action.BLOCK, reason="random", by=manager),
    }[change]()

    assert ann.vote(held)[0] == status
    assert ann.lease()[0] == status
    assert Vote.objects.filter(project=c.id).count() == 1


def test_changed_settings_are_those_of_the_next_answer(ann: Annotator) -> None:
    held = ann.at_work()
    configure_project(project_id=ann.c.id, version=ann.c.fresh().version, changes={"redundancy": 1})

    following = ann.vote(held)[2]["assignments"][0]["id"]

    assert ann.lane.asked == 1, "Django was asked once, and remembered anew"
    assert ann.vote(following)[0] == 200
    assert ann.lane.asked == 1
    retired = TaskState.objects.filter(project=ann.c.id, retired="redundancy").count()
    assert retired == 3


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("HTTP_HOST", "evil.example", 400),
        ("HTTP_COOKIE", "crowd_session=x", 200),
        ("HTTP_IDEMPOTENCY_KEY", "once", 200),
        ("HTTP_AUTHORIZATION", "Bearer crowd_unknown", 401),
        ("CONTENT_TYPE", "text/plain", 415),
        ("HTTP_ACCEPT", "text/html", 406),
        ("QUERY_STRING", "next=1&next=2", 200),
        ("QUERY_STRING", "next=many", 400),
        ("CONTENT_LENGTH", "", 400),
    ],
)
def test_what_is_out_of_the_ordinary_is_djangos(ann: Annotator, header: str, value: str, status: int) -> None:
    held = ann.at_work()

    assert ann.vote(held, **{header: value})[0] == status
    assert ann.lane.asked == 1


def test_numbers_beyond_64_bits_are_djangos_to_write(lane: Lane, campaign: Make) -> None:
    c = campaign(annotators=1)
    c.upload([{"data": {"n": n, "far": 1e20}} for n in range(4)])
    ann = Annotator(lane, c, 0)
    held = ann.at_work()

    status, _, answer = ann.vote(held)

    assert status == 200
    assert answer["assignments"][0]["data"]["far"] == 10**20
    assert lane.asked == 1
    assert Vote.objects.filter(project=c.id).count() == 2


def test_somebody_whose_token_was_revoked_disturbs_the_others_once(lane: Lane, campaign: Make) -> None:
    c = campaign(tasks=12, annotators=2, redundancy=2)
    gone, ann = Annotator(lane, c, 0), Annotator(lane, c, 1)
    held, others = gone.at_work(), ann.at_work()
    c.annotators[0].user.api_tokens.update(revoked_at=timezone.now())

    assert [gone.vote(held)[0] for _ in range(3)] == [401] * 3
    assert not [seen for seen in access._seen.values() if seen.member.id == c.annotators[0].id]
    lane.asked = 0
    assert ann.vote(others)[0] == 200
    assert lane.asked == 0


def test_a_lock_that_is_held_for_long_keeps_nobody_in_the_lane(ann: Annotator) -> None:
    held = ann.at_work()
    with other_connection() as somebody:
        somebody.execute("SELECT pg_advisory_xact_lock(%s)", [ann.c.annotators[0].id])
        with ThreadPoolExecutor(1) as threads:
            voting = threads.submit(closing, lambda: ann.vote(held))
            wait_for(lambda: ann.lane.asked == 1, what="Django to be asked, who waits as long as it takes")
            somebody.rollback()
            assert voting.result(120)[0] == 200
    assert Vote.objects.filter(project=ann.c.id).count() == 2


def closing(action: Callable[[], Any]) -> Any:
    try:
        return action()
    finally:
        connection.close()


def test_headers_are_remembered_for_a_bounded_number_of_clients(ann: Annotator) -> None:
    for n in range(KEPT_HEADERS + 20):
        assert ann.lease(HTTP_ACCEPT=f"application/json;x={n}")[0] == 200
    assert ann.lease(HTTP_ACCEPT="application/json" + " " * 300)[0] == 200

    assert len(ann.lane.application.headers) == KEPT_HEADERS
    ann.lane.asked = 0
    assert ann.lease(HTTP_ACCEPT=f"application/json;x={KEPT_HEADERS + 19}")[0] == 200
    assert ann.lane.asked == 0


def test_a_lost_connection_is_replaced_and_an_error_leaves_none_in_a_transaction(ann: Annotator) -> None:
    held = ann.at_work()
    following = ann.vote(held)[2]["assignments"][0]["id"]
    (session,) = [each.connection for each in lent._free]
    with other_connection(autocommit=True) as somebody:
        somebody.execute("SELECT pg_terminate_backend(%s, 10000)", [session.info.backend_pid])

    last = ann.vote(following)[2]["assignments"][0]["id"]
    Member.objects.filter(id=ann.c.annotators[0].id).update(name="Another name")

    assert ann.vote(last)[0] == 200
    assert {each.connection.info.transaction_status.name for each in lent._free} == {"IDLE"}
    assert Vote.objects.filter(project=ann.c.id).count() == 4


def test_people_at_work_at_once_all_have_their_votes_stored_and_never_the_same_task(lane: Lane, campaign: Make) -> None:
    c = campaign(tasks=60, annotators=8, redundancy=2)
    people = [Annotator(lane, c, n) for n in range(8)]

    def work(person: Annotator) -> list[int]:
        try:
            given = person.lease()[2]["assignments"]
            seen = []
            while given:
                seen.append(given[0]["data"]["n"])
                given = person.vote(given[0]["id"])[2]["assignments"]
            return seen
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(work, people))

    assert all(len(set(numbers)) == len(numbers) for numbers in seen)
    counted = Vote.objects.filter(project=c.id, status="counted").count()
    assert counted == sum(map(len, seen)) <= 120
    assert_state_is_fresh(c.project)
