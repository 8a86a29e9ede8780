"""Gold among other tasks, over HTTP: what managers set, and that annotators can't tell."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from benchmarks import gold_leak
from benchmarks.gold_leak import Observed
from tests.api.support import Cast, enrol, refused
from tests.support.client import Client, create_project, lease, upload

PAGE = (Path(__file__).resolve().parents[2] / "docs/gold.md").read_text()
RESPONSES = 2000


def test_the_pages_settings_are_taken_and_annotators_do_not_see_them(cast: Cast) -> None:
    settings = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
    project = create_project(cast.mary, **settings)
    enrol(cast.mary, project, cast.ada, "annotator")
    path = f"/api/projects/{project}"
    seen = cast.mary.ok("GET", path)
    assert {name: seen[name] for name in settings} == settings
    assert not set(cast.ada.ok("GET", path)) & set(settings)

    for name, wrong in (("gold_share", 1.1), ("gold_share", -0.1), ("gold_exposures", 0)):
        refused(cast.mary.patch(path, {"version": seen["version"], name: wrong}), 400, "invalid", name)


def test_gold_without_a_cap_wants_any_number_of_votes(cast: Cast) -> None:
    project = create_project(cast.mary, gold_share=1.0)
    upload(cast.mary, project, [{"data": {"n": 0}}, {"data": {"n": 1}, "gold": "cat"}])
    enrol(cast.mary, project, cast.ada, "annotator")
    (given,) = lease(cast.ada, project)
    assert set(given) == {"id", "data", "expires_at"} and given["data"] == {"n": 1}
    tasks = cast.mary.pages(f"/api/projects/{project}/tasks")
    assert [task["redundancy"] for task in tasks] == [3, None]


@pytest.fixture(scope="module")
def observed(manager: Client) -> Observed:
    return gold_leak.collect(manager, responses=RESPONSES, share=0.5)


def test_a_classifier_can_not_tell_gold_from_what_annotators_are_sent(observed: Observed) -> None:
    figures = gold_leak.measure(observed)
    print(gold_leak.table(figures))
    assert figures["responses"] >= RESPONSES and 0.4 < figures["gold"] / figures["assignments"] < 0.6
    assert figures["auc"] <= gold_leak.MOST + figures["sampling_error"]


@pytest.mark.parametrize("name", ["given bytes without payloads", "given expiry fraction", "given place"])
def test_it_finds_a_leak_that_we_put_there(observed: Observed, name: str) -> None:
    leaking = [
        {**features, name: features[name] * (1 - gold) - gold}
        for features, gold in zip(observed.features, observed.gold.tolist(), strict=True)
    ]
    assert gold_leak.auc(dataclasses.replace(observed, features=leaking), sorted(leaking[0])) > 0.9
