"""Handover and tiers over HTTP, with the stack's own worker."""

from __future__ import annotations

from tests.api.support import CSV, Cast, enrol, refused
from tests.support.client import create_project, lease, upload, vote, wait_for


def test_a_system_in_production_asks_people_answer_and_it_reads_what_they_said(cast: Cast) -> None:
    project = create_project(cast.mary, redundancy=1)
    enrol(cast.mary, project, cast.ada, "annotator")
    enrol(cast.mary, project, cast.cole, "consumer")
    upload(cast.mary, project, [{"data": {"text": "of the campaign"}}])
    path = f"/api/projects/{project}/predict"

    asked = cast.cole.post(path, {"tasks": [{"key": "order/17", "data": {"text": "It barks."}}]})

    assert asked.status_code == 202
    (answer,) = asked.json()["results"]
    assert (answer["status"], answer["label"], answer["source"]) == ("asked", None, None)
    assert cast.cole.get(f"{path}/order/17").status_code == 202
    (first,) = lease(cast.ada, project)
    assert first["data"] == {"text": "It barks."}
    assert vote(cast.ada, project, first["id"], "dog").status_code == 200

    def answered() -> bool:
        return bool(cast.cole.get(f"{path}/order/17").status_code == 200)

    wait_for(answered, what="the answer")
    found = cast.cole.ok("GET", f"{path}/order/17")
    assert found == cast.cole.ok("GET", f"{path}/{answer['task']}")
    assert (found["label"], found["source"], found["votes"]) == ("dog", "votes", 1)
    again = cast.cole.post(path, {"tasks": [{"key": "order/17", "data": {"text": "It barks."}}]})
    assert again.status_code == 200 and again.json()["results"] == [found]


def test_what_is_wrong_with_a_request_is_named(cast: Cast) -> None:
    project = create_project(cast.mary)
    path = f"/api/projects/{project}/predict"
    refused(cast.mary.post(path, {"tasks": []}), 400, "invalid", "tasks")
    refused(cast.mary.post(path, {"tasks": [{"data": {}}] * 101}), 400, "invalid", "tasks")
    refused(cast.mary.post(path, {"tasks": [{"data": {}}], "sure": 1}), 400, "invalid", "sure")
    refused(cast.mary.post(path, {"tasks": [{"data": {}}, {"data": 1}]}), 400, "invalid_tasks", "tasks.1.data")
    refused(cast.mary.get(f"{path}/nothing"), 404, "not_found")


def test_the_worker_looks_after_the_tiers_and_says_why_there_is_no_certificate(cast: Cast) -> None:
    settings = {"learner": "numeric", "learner_fields": ["n"], "auto_label_error": 0.05, "confirm_above": 0.8}
    project = create_project(cast.mary, redundancy=2, **settings)
    upload(cast.mary, project, [{"key": str(n), "data": {"n": n}} for n in range(120)])
    rows = "".join(f"{n},{who},{'cat' if n < 60 else 'dog'}\n" for n in range(0, 120, 2) for who in ("Ann", "Ben"))
    text = f"task,worker,label\n{rows}".encode()
    cast.mary.ok("POST", f"/api/projects/{project}/votes/import", content=text, headers=CSV)
    cast.mary.ok("POST", f"/api/projects/{project}/retrain")

    def tiers() -> object:
        found = cast.mary.ok("GET", f"/api/projects/{project}/statistics")["tiers"]
        return found if found and found["confirm"] else None

    found = wait_for(tiers, what="a look at the tiers")
    assert (found["auto"], found["certificate"]) == (0, None) and found["confirm"] + found["label"] == 60
    assert "more than the 5.0% allowed" in found["says"]
    assert cast.mary.ok("GET", f"/api/projects/{project}/certificates")["results"] == []
