"""Expert review over HTTP."""

from __future__ import annotations

from tests.api.support import Cast, codes, enrol, refused
from tests.support.client import create_project, lease, upload, vote


def test_a_reviewer_reads_the_queue_and_decides(cast: Cast) -> None:
    project = create_project(cast.mary, redundancy=2, flag_below=0.999)  # whatever a refit makes of few votes
    upload(cast.mary, project, [{"key": str(n), "data": {"n": n}} for n in range(3)])
    enrol(cast.mary, project, cast.rita, "reviewer")
    path = f"/api/projects/{project}/reviews"
    for person, label in ((cast.ada, "cat"), (cast.bob, "dog")):
        enrol(cast.mary, project, person, "annotator")
        for assignment in lease(person, project, 3):
            assert vote(person, project, assignment["id"], label).status_code == 200

    pages = [cast.rita.ok("GET", path, params={"limit": 2})]
    pages.append(cast.rita.ok("GET", path, params={"limit": 2, "cursor": pages[0]["next"]}))
    assert [len(page["results"]) for page in pages] == [2, 1] and pages[1]["next"] is None
    first = pages[0]["results"][0]
    assert (first["key"], first["retired"], first["posterior"]) == ("0", "disputed", {"cat": 0.5, "dog": 0.5})
    assert [(v["name"], v["label"]) for v in first["votes"]] == [("ada.of.api", "cat"), ("bob.of.api", "dog")]

    reviewed = cast.rita.post(f"{path}/{first['task']}", {"label": "dog", "comment": "Tail"})
    assert reviewed.status_code == 201
    assert reviewed.json()["posterior"] == {"cat": 0.0, "dog": 1.0}
    refused(cast.mary.post(f"{path}/{first['task']}", {"label": "cat"}), 409, "reviewed_meanwhile")
    (review,) = cast.mary.ok("GET", f"{path}/{first['task']}")["reviews"]
    assert (review["reviewer"], review["label"], review["comment"]) == ("rita.of.api", "dog", "Tail")
    assert len(cast.rita.ok("GET", path)["results"]) == 2
    statistics = cast.mary.ok("GET", f"/api/projects/{project}/statistics")
    assert statistics["retired"] == {"disputed": 2, "reviewed": 1}


def test_a_review_that_says_nothing_is_refused(cast: Cast) -> None:
    project = create_project(cast.mary)
    upload(cast.mary, project, [{"data": {"n": 0}}])
    (task,) = cast.mary.pages(f"/api/projects/{project}/tasks")
    path = f"/api/projects/{project}/reviews/{task['id']}"

    assert codes(refused(cast.mary.post(path, {}), 400, "invalid", "label")) == ["required"]
    refused(cast.mary.post(path, {"label": "horse"}), 400, "unknown_label", "label")
    refused(cast.mary.post(path, {"action": "reopen", "votes": 0}), 400, "invalid", "votes")
    refused(cast.mary.post(path, {"action": "undo"}), 409, "nothing_to_undo")
    refused(cast.mary.get(f"/api/projects/{project}/reviews?cursor=x"), 400, "invalid_cursor", "cursor")
    refused(cast.mary.get(f"/api/projects/{project}/reviews/9223372036854775808"), 404, "not_found")
