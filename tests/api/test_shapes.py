"""What the busiest endpoints take and give without a serializer is what the serializers that describe them have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from projects.api.shapes import leased, plain_votes
from projects.serializers import LeaseOut, VotesIn
from projects.services.ballots import VoteInput
from projects.services.leases import Lease

IDS = st.one_of(
    st.uuids().map(str),
    st.uuids().map(lambda u: u.hex),
    st.uuids().map(lambda u: u.urn),
    st.text(max_size=40),
    st.none(),
)
LABELS = st.one_of(st.text(max_size=210), st.sampled_from(["cat", " cat", "a b", "\x00", "é", "\ud800"]), st.integers())
SECONDS = st.one_of(st.none(), st.booleans(), st.integers(-2, 2_000_000), st.floats(), st.just("3"))
VOTE = st.one_of(
    st.fixed_dictionaries({"assignment": st.uuids().map(str), "label": st.sampled_from(["cat", "dog"])}),
    st.fixed_dictionaries(
        {"assignment": IDS, "label": LABELS}, optional={"seconds": SECONDS, "colour": st.just("red")}
    ),
    st.dictionaries(st.sampled_from(["assignment", "label", "seconds"]), st.text(max_size=3)),
    st.integers(),
)
BODIES = st.one_of(
    st.fixed_dictionaries({"votes": st.lists(VOTE, max_size=4)}),
    st.fixed_dictionaries({"votes": st.lists(VOTE, max_size=2), "more": st.just(1)}),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    st.lists(VOTE, max_size=1),
)


@given(BODIES)
def test_votes_that_are_plainly_right_are_what_the_serializer_makes_of_them(body: Any) -> None:
    plain = plain_votes(body)
    if plain is not None:
        shape = VotesIn(data=body)
        assert shape.is_valid(), shape.errors
        assert plain == [VoteInput(**vote) for vote in shape.validated_data["votes"]]


def test_ordinary_votes_are_plainly_right() -> None:
    one = {"assignment": str(uuid4()), "label": "two words", "seconds": 1.5}
    assert plain_votes({"votes": [one] * 100})
    assert plain_votes({"votes": [{**one, "seconds": None}]}) and plain_votes({"votes": [{**one, "seconds": 3}]})
    assert plain_votes({"votes": [one] * 101}) is None
    assert plain_votes({"votes": []}) is None


SHOWN = [None, "cat"]


def test_leases_look_as_the_serializer_has_them() -> None:
    moments = [datetime(2026, 1, 2, 3, 4, 5, 6, UTC), datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(0)))]
    for leases in (
        [],
        [
            Lease(uuid4(), {"text": ["a", None, 1.5]}, moment, shown)
            for moment, shown in zip(moments, SHOWN, strict=True)
        ],
    ):
        expected = LeaseOut({"assignments": leases, "status": "ok"}).data
        # What is not shown is not there: nothing tells such a lease from one of a project that shows nothing.
        rows = [{name: value for name, value in row.items() if value is not None} for row in expected["assignments"]]
        assert leased(leases, "ok") == {"assignments": rows, "status": "ok"}
