"""The budget and the ledger over HTTP."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from tests.api.support import Cast, enrol, refused
from tests.support.client import Client, create_project, lease, upload, vote

PAGE = (Path(__file__).resolve().parents[2] / "docs/budget.md").read_text()


def make(cast: Cast, tasks: int = 6, **settings: Any) -> tuple[int, str]:
    """A project that Ada and Bob annotate, and its path."""
    project = create_project(cast.mary, redundancy=2, **settings)
    upload(cast.mary, project, [{"key": f"k{n}", "data": {"n": n}} for n in range(tasks)])
    for person in (cast.ada, cast.bob):
        enrol(cast.mary, project, person, "annotator")
    return project, f"/api/projects/{project}"


def edit(manager: Client, path: str, **changes: Any) -> Any:
    return manager.patch(path, {"version": manager.ok("GET", path)["version"], **changes})


def test_amounts_are_exact_decimal_texts(cast: Cast) -> None:
    _, path = make(cast, price_per_vote=0.1, budget="100.00", currency="EUR")
    seen = cast.mary.ok("GET", path)
    assert (seen["price_per_vote"], seen["budget"], seen["currency"]) == ("0.1", "100", "EUR")
    assert edit(cast.mary, path, budget="99.9999").json()["budget"] == "99.9999"
    assert edit(cast.mary, path, budget=None).json()["budget"] is None


def test_a_budget_is_reserved_spent_and_over(cast: Cast) -> None:
    project, path = make(cast, price_per_vote="0.05", budget="0.15", currency="EUR")
    (first,) = lease(cast.ada, project, 1)
    others = lease(cast.bob, project, 5)
    assert len(others) == 2
    standing = cast.mary.ok("GET", f"{path}/statistics")["budget"]
    assert standing == {
        "budget": "0.15",
        "spent": "0",
        "reserved": "0.15",
        "available": "0",
        "unit": "money",
        "price_per_vote": "0.05",
        "currency": "EUR",
    }
    assert vote(cast.ada, project, first["id"], "cat").status_code == 200
    ask = {"count": 1}
    assert cast.ada.ok("POST", f"{path}/assignments", ask) == {"assignments": [], "status": "waiting"}
    for each in others:
        assert vote(cast.bob, project, each["id"], "dog").status_code == 200

    assert cast.ada.ok("POST", f"{path}/assignments", ask) == {"assignments": [], "status": "budget_spent"}
    assert cast.ada.ok("GET", f"{path}/me")["earned"] == "0.05"
    own = cast.bob.ok("GET", f"{path}/me")
    assert (own["earned"], own["price_per_vote"], own["currency"]) == ("0.1", "0.05", "EUR")

    assert edit(cast.mary, path, budget="0.2").status_code == 200
    assert cast.ada.ok("POST", f"{path}/assignments", ask)["status"] == "ok"


def test_the_page_about_budgets_shows_what_the_statistics_say(cast: Cast) -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    project, path = make(cast, price_per_vote="0.05", budget="0.50", currency="EUR")
    (first,) = lease(cast.ada, project, 1)
    vote(cast.ada, project, first["id"], "cat")
    lease(cast.bob, project, 2)
    assert cast.mary.ok("GET", f"{path}/statistics")["budget"] == json.loads(shown)
    for name in re.findall(r"^\| `([a-z./]+)` \|", PAGE.partition("## The ledger")[2], flags=re.MULTILINE):
        assert cast.mary.get(f"{path}/{name}").status_code == 200, name


def test_the_vote_that_spends_the_last_of_it_says_so_with_next(cast: Cast) -> None:
    project, path = make(cast, budget=1)
    (only,) = lease(cast.ada, project, 3)
    body = {"votes": [{"assignment": only["id"], "label": "cat"}]}
    answer = cast.ada.ok("POST", f"{path}/votes?next=2", body)
    assert (answer["assignments"], answer["status"]) == ([], "budget_spent")


def test_what_a_budget_can_not_be_is_refused_by_name(cast: Cast) -> None:
    project, path = make(cast, budget=4)
    refused(edit(cast.mary, path, budget="2.5"), 400, "not_whole", "budget")
    for each in lease(cast.ada, project, 2):
        vote(cast.ada, project, each["id"], "cat")
    lease(cast.bob, project, 1)
    body = refused(edit(cast.mary, path, budget=2), 409, "budget_too_low", "budget")
    assert body["detail"] == "At least 3: 2 is spent and 1 is reserved by open leases."
    refused(edit(cast.mary, path, price_per_vote="0.5"), 409, "budget_unit_fixed", "price_per_vote")
    assert edit(cast.mary, path, budget=3).status_code == 200
    broken = cast.mary.post("/api/projects", {"name": "x", "labels": ["a", "b"], "budget": "0.5"})
    refused(broken, 400, "not_whole", "budget")


def test_the_ledger_has_a_line_for_each_paid_vote_and_its_sums(cast: Cast) -> None:
    project, path = make(cast, price_per_vote="0.3333", currency="EUR")
    for person, number in ((cast.ada, 3), (cast.bob, 2)):
        for each in lease(person, project, number):
            vote(person, project, each["id"], "cat")

    lines = list(cast.mary.pages(f"{path}/payments"))
    assert len(lines) == len({line["vote"] for line in lines}) == 5
    assert {line["amount"] for line in lines} == {"0.3333"}
    assert set(lines[0]) == {"id", "annotator", "name", "vote", "task", "key", "amount", "created_at"}

    sums = cast.mary.pages(f"{path}/payments/summary")
    assert [(each["votes"], each["amount"]) for each in sums] == [(3, "0.9999"), (2, "0.6666")]
    assert cast.mary.ok("GET", f"{path}/statistics")["budget"]["spent"] == "1.6665"

    file = cast.mary.get(f"{path}/payments.csv")
    assert file.headers["content-disposition"] == f'attachment; filename="payments-{project}.csv"'
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [(row["amount"], row["currency"], row["key"]) for row in rows] == [
        ("0.3333", "EUR", line["key"]) for line in lines
    ]


def test_an_annotator_sees_no_budget(cast: Cast) -> None:
    _, path = make(cast, budget=4)
    assert not {"budget", "price_per_vote"} & set(cast.ada.ok("GET", path))
    assert cast.ada.ok("GET", f"{path}/me")["earned"] is None
    refused(cast.ada.get(f"{path}/payments"), 404, "not_found")
