"""A keyed request that fails on our side leaves no key, however it fails."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from projects.api.idempotency import idempotent
from projects.models import IdempotencyKey, User
from tests.services.campaign import unique


@pytest.fixture
def send(orm: None) -> Callable[[], Any]:
    """Sends one request, always the same with the same key, to a view that does what it is told to."""
    user, key = User.objects.create(name=unique("sender")), str(uuid.uuid4())

    def send(work: Callable[[], Response]) -> Any:
        class View(APIView):
            @idempotent
            def post(self, request: Request) -> Response:
                return work()

        request = APIRequestFactory().post("/api/test", {"n": 1}, format="json", headers={"Idempotency-Key": key})
        force_authenticate(request, user)
        return View.as_view()(request)

    send.keys = lambda: list(IdempotencyKey.objects.filter(user=user))  # type: ignore[attr-defined]  # on a function
    return send


def test_a_request_that_failed_leaves_no_key_and_is_done_when_it_is_sent_again(send: Any) -> None:
    def fail() -> Response:
        raise RuntimeError("lost the database")

    with pytest.raises(RuntimeError):
        send(fail)
    assert send.keys() == []
    assert send(lambda: Response({"code": "broken"}, status=503)).status_code == 503
    assert send.keys() == []

    first = send(lambda: Response({"n": 1}, status=201))
    again = send(fail)

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_request_that_is_killed_in_the_midst_leaves_none_either(send: Any) -> None:
    def interrupted() -> Response:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(interrupted)
    assert send.keys() == []


def test_what_is_sent_while_it_is_being_worked_on_is_told_to_wait(send: Any) -> None:
    inner = []

    def work() -> Response:
        inner.append(send(lambda: Response({"n": 2})))
        return Response({"n": 1})

    assert send(work).data == {"n": 1}
    assert (inner[0].status_code, inner[0].data["code"]) == (409, "idempotency_key_in_progress")
