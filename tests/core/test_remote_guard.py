"""No remote learner leads into the operator's own network, however spelt; its answers are read strictly."""

from typing import Any

import httpcore
import numpy as np
import pytest

from aggregation.remote.answers import BadAnswer, proba_of
from aggregation.remote.guard import AddressRefused, Guard, GuardedBackend, is_public

LABELS = ["cat", "dog", "eel"]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "0x7f.1", "169.254.169.254", "10.0.0.8", "::1", "0.0.0.0"]
    + ["::ffff:127.0.0.1", "fe80::1", "fd00::1", "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "100.64.0.1"]
    + ["::7f00:1", "::5db8:d822", "64:ff9b:1::7f00:1", "64:ff9b:1::5db8:d822", "fec0::1"],
)
def test_it_refuses_what_is_not_public(host: str) -> None:
    with pytest.raises((AddressRefused, httpcore.ConnectError)):
        GuardedBackend(Guard()).checked(host, 80)


def test_it_connects_to_the_address_that_was_checked_whatever_the_name_becomes(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["93.184.216.34", "127.0.0.1"])
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (next(answers), 80))])
    guard = GuardedBackend(Guard())
    assert guard.checked("rebinding.example", 80) == "93.184.216.34"
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1"):
        guard.checked("rebinding.example", 80)


def test_one_private_address_among_several_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(2, 1, 6, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: both)
    with pytest.raises(AddressRefused):
        GuardedBackend(Guard()).checked("two.example", 80)


def test_the_operator_may_allow_a_host_or_one_port_of_it() -> None:
    assert GuardedBackend(Guard(["127.0.0.1"])).checked("127.0.0.1", 9090) == "127.0.0.1"
    assert GuardedBackend(Guard(["127.0.0.1:9090"])).checked("127.0.0.1", 9090) == "127.0.0.1"
    with pytest.raises(AddressRefused):
        GuardedBackend(Guard(["127.0.0.1:9090"])).checked("127.0.0.1", 5432)
    with pytest.raises(AddressRefused):
        GuardedBackend(Guard()).connect_unix_socket("/run/postgresql")


def test_public_addresses_are_public() -> None:
    assert is_public("93.184.216.34") and is_public("2606:2800:220:1:248:1893:25c8:1946")


def result(label: str = "cat", score: object = 0.8, **value: object) -> dict[str, Any]:
    return {"result": [{"type": "choices", "value": {"choices": [label], **value}}], "score": score}


def test_a_score_is_spread_and_probabilities_are_taken_as_they_are() -> None:
    answer = {"results": [result(), result("dog", None, probs={"dog": 0.5, "eel": 0.5}), {"result": [], "score": 0}]}
    found = proba_of(answer, [1, 2, 3], LABELS)
    np.testing.assert_allclose(found[0], [0.8, 0.1, 0.1], atol=1e-5)
    np.testing.assert_allclose(found[1], [0, 0.5, 0.5], atol=1e-5)
    assert np.isnan(found[2]).all() and (found[:2] > 0).all()


@pytest.mark.parametrize("score", [None, 0.0, 0.2])
def test_a_score_less_than_chance_is_none(score: object) -> None:
    """Whoever chooses a label finds no other more probable; the SDK sends 0 where a backend gives none."""
    (found,) = proba_of({"results": [result("dog", score)]}, [1], LABELS)
    np.testing.assert_allclose(found, [0.25, 0.5, 0.25], atol=1e-5)


def test_a_score_may_stand_in_the_region() -> None:
    answer = result("dog", None)
    answer["result"][0]["score"] = 0.8
    np.testing.assert_allclose(proba_of({"results": [answer]}, [1], LABELS)[0], [0.1, 0.8, 0.1], atol=1e-5)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([], "results"),
        ({"results": None}, "results"),
        ({"results": [result()]}, "1 results for 2 tasks"),
        ({"results": [result(), result("tiger")]}, "task 2: unknown label"),
        ({"results": [result(), result(score=float("nan"))]}, "task 2: score is nan"),
        ({"results": [result(), result(score=1.5)]}, "score is 1.5"),
        ({"results": [result(), result(score=True)]}, "score is True"),
        ({"results": [result(), result(score="0.9")]}, "score is '0.9'"),
        ({"results": [result(), result(probs={"cat": 0.2, "dog": 0.2})]}, "sum to 0.4"),
        ({"results": [result(), result(probs={"cat": float("inf")})]}, "probability of 'cat'"),
        ({"results": [result(), result(probs=[1, 0, 0])]}, "probs is no object"),
        ({"results": [result(), result(probs={"tiger": 1})]}, "unknown label"),
        (
            {"results": [result(), {"result": [{"type": "choices", "value": {"choices": ["cat", "dog"]}}]}]},
            "one choice",
        ),
        ({"results": [result(), None]}, "result"),
    ],
)
def test_an_odd_answer_is_refused_with_its_task(answer: object, why: str) -> None:
    with pytest.raises(BadAnswer, match=why):
        proba_of(answer, [1, 2], LABELS)
