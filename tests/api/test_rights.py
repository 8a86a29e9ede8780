"""Who may do what: every endpoint of the URLconf, by every role, on one's own project and on somebody else's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver

from tests.api.support import CSV, Cast, Database, enrol, refused
from tests.support.client import Client, create_project, lease, upload, vote, wait_for
from tests.support.stack import Stack

MANAGERS = frozenset({"mary"})
ANNOTATORS = frozenset({"mary", "ada"})
READERS = frozenset({"mary", "cole"})
REVIEWERS = frozenset({"mary", "rita"})
MEMBERS = frozenset({"mary", "ada", "cole", "rita"})
SIGNED_IN = MEMBERS | {"olga"}
EVERYBODY = SIGNED_IN | {"nobody"}


@dataclass
class World:
    """A project with one of everything in it."""

    manager: Client
    annotator: Client
    project: int
    member: int = 0
    run: int = 0
    task: int = 0
    assignments: Iterator[str] = field(default_factory=lambda: iter(()))

    def new_invite(self) -> int:
        return int(self.manager.ok("POST", f"/api/projects/{self.project}/invites", {"role": "consumer"})["id"])

    def new_webhook(self) -> int:
        """In the place of those that were used up: a project has ten at most."""
        path = f"/api/projects/{self.project}/webhooks"
        for row in self.manager.ok("GET", path)["results"]:
            self.manager.delete(f"{path}/{row['id']}")
        return int(self.manager.ok("POST", path, HOOK)["id"])

    def ids(self, route: str) -> dict[str, Any]:
        """Ids that fit a route, of things that are there to be used up."""
        names = set(re.findall(r"<\w+:(\w+)>", route))
        ids: dict[str, Any] = {"project_id": self.project, "member_id": self.member, "annotator_id": self.member}
        ids |= {"run_id": self.run, "task_id": self.task, "which": self.task}
        if "invite_id" in names:
            ids["invite_id"] = self.new_invite()
        if "assignment_id" in names:
            ids["assignment_id"] = next(self.assignments)
        if "rule_id" in names:
            ids["rule_id"] = self.manager.ok("POST", f"/api/projects/{self.project}/rules", RULE)["id"]
        if "sanction_id" in names:
            path = f"/api/projects/{self.project}/members/{self.member}/sanctions"
            ids["sanction_id"] = self.manager.ok("POST", path, WARNING)["id"]
        if "backtest_id" in names:
            answered(self)
            ids["backtest_id"] = self.manager.ok("POST", f"/api/projects/{self.project}/backtests", {})["id"]
        if "webhook_id" in names:
            ids["webhook_id"] = self.new_webhook()
        if "token_id" in names:
            ids["token_id"] = self.manager.ok("POST", "/api/tokens", {"name": "to revoke"})["id"]
        return {name: ids[name] for name in names}


@dataclass(frozen=True)
class Endpoint:
    who: frozenset[str]
    status: int = 200
    send: Callable[[World], dict[str, Any]] = lambda world: {}


def body(value: Any) -> Callable[[World], dict[str, Any]]:
    return lambda world: {"json": value}


def edit(world: World) -> dict[str, Any]:
    version = world.manager.ok("GET", f"/api/projects/{world.project}")["version"]
    return {"json": {"version": version, "name": "Edited"}}


def a_vote(world: World) -> dict[str, Any]:
    return {"json": {"votes": [{"assignment": next(world.assignments), "label": "cat"}]}}


def a_review(world: World) -> dict[str, Any]:
    seen = world.manager.ok("GET", f"/api/projects/{world.project}/reviews/{world.task}")
    return {"json": {"label": "cat", "after": len(seen["reviews"])}}


def a_question(world: World) -> dict[str, Any]:
    answered(world)
    return {"json": {"redundancy": 2, "target_confidence": 0.9}}


def answered(world: World) -> None:
    """Wait until no backtest is unfinished: only then another may be asked for."""
    path = f"/api/projects/{world.project}/backtests"
    wait_for(lambda: all(row["finished_at"] for row in world.manager.ok("GET", path)["results"]), what="a backtest")


RULE = {"condition": "speed", "limit": 0.001, "action": "warn"}
WARNING = {"action": "warn", "reason": "Take care"}
HOOK = {"url": "http://127.0.0.1:9/nobody", "start": "now"}
SETTINGS = {"name": "New", "labels": ["cat", "dog"]}
RECORDED = {"content": b"task,worker,label\nfirst,Wim,cat\n", "headers": CSV}
P = "projects/<int:project_id>"

#: Whoever adds an endpoint says here who may use it. ``status`` is what they get.
ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("GET", "session"): Endpoint(EVERYBODY),
    ("POST", "session"): Endpoint(EVERYBODY, 400, body({"link": "invented"})),
    ("DELETE", "session"): Endpoint(EVERYBODY, 204),
    ("POST", "join"): Endpoint(EVERYBODY, 400, body({"invite": "invented", "name": "x"})),
    ("GET", "tokens"): Endpoint(SIGNED_IN),
    ("POST", "tokens"): Endpoint(SIGNED_IN, 201, body({"name": "one more"})),
    ("DELETE", "tokens/<int:token_id>"): Endpoint(MANAGERS, 204),  # it is Mary's own
    ("GET", "projects"): Endpoint(SIGNED_IN),
    ("POST", "projects"): Endpoint(frozenset({"mary", "olga"}), 201, body(SETTINGS)),  # by account, not by role
    ("GET", P): Endpoint(MEMBERS),
    ("PATCH", P): Endpoint(MANAGERS, 200, edit),
    ("POST", f"{P}/pause"): Endpoint(MANAGERS),
    ("POST", f"{P}/resume"): Endpoint(MANAGERS),
    ("GET", f"{P}/members"): Endpoint(MANAGERS),
    ("PATCH", f"{P}/members/<int:member_id>"): Endpoint(MANAGERS, 200, body({"role": "annotator"})),
    ("DELETE", f"{P}/members/<int:member_id>"): Endpoint(MANAGERS, 204),
    ("GET", f"{P}/invites"): Endpoint(MANAGERS),
    ("POST", f"{P}/invites"): Endpoint(MANAGERS, 201, body({"role": "annotator"})),
    ("DELETE", f"{P}/invites/<int:invite_id>"): Endpoint(MANAGERS, 204),
    ("GET", f"{P}/tasks"): Endpoint(MANAGERS),
    ("POST", f"{P}/tasks"): Endpoint(MANAGERS, 201, body([{"data": {"text": "one more"}}])),
    ("POST", f"{P}/votes/import"): Endpoint(MANAGERS, 201, lambda world: RECORDED),
    ("POST", f"{P}/assignments"): Endpoint(ANNOTATORS, 200, body({"count": 1})),
    ("POST", f"{P}/assignments/<uuid:assignment_id>/skip"): Endpoint(frozenset({"ada"})),  # it is Ada's own
    ("POST", f"{P}/assignments/<uuid:assignment_id>/release"): Endpoint(frozenset({"ada"})),
    ("POST", f"{P}/assignments/<uuid:assignment_id>/renew"): Endpoint(frozenset({"ada"})),
    ("POST", f"{P}/votes"): Endpoint(frozenset({"ada"}), 200, a_vote),
    ("GET", f"{P}/rules"): Endpoint(MANAGERS),
    ("POST", f"{P}/rules"): Endpoint(MANAGERS, 201, body(RULE)),
    ("DELETE", f"{P}/rules/<int:rule_id>"): Endpoint(MANAGERS, 204),
    ("GET", f"{P}/sanctions"): Endpoint(MANAGERS),
    ("POST", f"{P}/sanctions/<int:sanction_id>/lift"): Endpoint(MANAGERS, 201, body({})),
    ("POST", f"{P}/members/<int:member_id>/sanctions"): Endpoint(MANAGERS, 201, body(WARNING)),
    ("GET", f"{P}/reviews"): Endpoint(REVIEWERS),
    ("GET", f"{P}/reviews/<int:task_id>"): Endpoint(REVIEWERS),
    ("POST", f"{P}/reviews/<int:task_id>"): Endpoint(REVIEWERS, 201, a_review),
    ("GET", f"{P}/me"): Endpoint(ANNOTATORS),
    ("GET", f"{P}/statistics"): Endpoint(MANAGERS),
    ("GET", f"{P}/payments"): Endpoint(MANAGERS),
    ("GET", f"{P}/payments.csv"): Endpoint(MANAGERS),
    ("GET", f"{P}/payments/summary"): Endpoint(MANAGERS),
    ("GET", f"{P}/annotators"): Endpoint(MANAGERS),
    ("GET", f"{P}/annotators/<int:annotator_id>"): Endpoint(MANAGERS),
    ("GET", f"{P}/consensus"): Endpoint(READERS),
    ("GET", f"{P}/consensus.csv"): Endpoint(READERS),
    ("GET", f"{P}/consensus.jsonl"): Endpoint(READERS),
    ("GET", f"{P}/predictions"): Endpoint(MANAGERS),
    ("POST", f"{P}/predict"): Endpoint(READERS, 202, body({"tasks": [{"key": "asked", "data": {"text": "B"}}]})),
    ("GET", f"{P}/predict/<path:which>"): Endpoint(READERS, 202),
    ("GET", f"{P}/certificates"): Endpoint(READERS),
    ("GET", f"{P}/accuracy-certificates"): Endpoint(READERS),
    ("GET", f"{P}/forecast"): Endpoint(MANAGERS),
    ("GET", f"{P}/backtests"): Endpoint(MANAGERS),
    ("POST", f"{P}/backtests"): Endpoint(MANAGERS, 202, a_question),
    ("GET", f"{P}/backtests/<int:backtest_id>"): Endpoint(MANAGERS),
    ("GET", f"{P}/runs"): Endpoint(MANAGERS),
    ("GET", f"{P}/runs/<int:run_id>"): Endpoint(MANAGERS),
    ("GET", f"{P}/remote-learner"): Endpoint(MANAGERS),
    ("PUT", f"{P}/remote-learner"): Endpoint(MANAGERS, 200, body({"url": "https://example.org"})),
    ("GET", f"{P}/webhooks"): Endpoint(MANAGERS),
    ("POST", f"{P}/webhooks"): Endpoint(MANAGERS, 201, body(HOOK)),
    ("GET", f"{P}/webhooks/<int:webhook_id>"): Endpoint(MANAGERS),
    ("PATCH", f"{P}/webhooks/<int:webhook_id>"): Endpoint(MANAGERS, 200, body({"active": False})),
    ("DELETE", f"{P}/webhooks/<int:webhook_id>"): Endpoint(MANAGERS, 204),
    ("POST", f"{P}/webhooks/<int:webhook_id>/secret"): Endpoint(MANAGERS),
    ("GET", f"{P}/learning-curve"): Endpoint(MANAGERS),
    ("POST", f"{P}/runs/<int:run_id>/cancel"): Endpoint(MANAGERS, 409),  # it is a refit
    ("POST", f"{P}/runs/<int:run_id>/restore"): Endpoint(MANAGERS, 409),
    ("POST", f"{P}/refit"): Endpoint(MANAGERS, 202),
    ("POST", f"{P}/retrain"): Endpoint(MANAGERS, 202),
    ("GET", "schema"): Endpoint(EVERYBODY),
    ("GET", "reference"): Endpoint(EVERYBODY),
}
#: Where the role is enough and the assignment is somebody else's.
NOT_MINE = {("POST", f"{P}/votes")} | {
    ("POST", f"{P}/assignments/<uuid:assignment_id>/{verb}") for verb in ("skip", "release", "renew")
}


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every method and route of a URLconf."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            view = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
            methods = ("get", "post", "put", "patch", "delete") if view else ("get",)
            yield from ((method.upper(), route) for method in methods if view is None or hasattr(view, method))


def make_world(manager: Client, annotator: Client, **settings: Any) -> World:
    project = create_project(manager, **settings)
    world = World(manager, annotator, project)
    upload(manager, project, [{"key": "first", "data": {"text": "A"}, "gold": "cat"}])
    upload(manager, project, [{"data": {"text": str(i)}} for i in range(60)])
    world.task = list(manager.pages(f"/api/projects/{project}/tasks"))[-1]["id"]
    world.member = enrol(manager, project, annotator, "annotator")
    leased = lease(annotator, project, 30)
    assert vote(annotator, project, leased[0]["id"], "dog").status_code == 200
    world.assignments = iter([assignment["id"] for assignment in leased[1:]])

    def finished() -> list[Any]:
        return [r for r in manager.pages(f"/api/projects/{project}/runs") if r["status"] == "done"]

    world.run = wait_for(finished, what="a refit")[0]["id"]
    return world


@pytest.fixture(scope="module")
def mine(cast: Cast) -> World:
    world = make_world(cast.mary, cast.ada, learner="text", learner_fields=["text"])
    enrol(cast.mary, world.project, cast.cole, "consumer")
    enrol(cast.mary, world.project, cast.rita, "reviewer")
    return world


@pytest.fixture(scope="module")
def hers(cast: Cast) -> World:
    """Olga's world, in which Mary, Ada, Cole and Rita are nobody."""
    return make_world(cast.olga, cast.fred)


@pytest.fixture(scope="module")
def actors(cast: Cast, stack: Stack) -> Iterator[dict[str, Client]]:
    with Client(stack.url) as nobody:
        members = {"rita": cast.rita, "cole": cast.cole, "ada": cast.ada, "mary": cast.mary}
        yield {"nobody": nobody, "olga": cast.olga, **members}


def filled(route: str, ids: dict[str, Any]) -> str:
    return "/api/" + re.sub(r"<\w+:(\w+)>", lambda match: str(ids[match[1]]), route)


def snapshot(db: Database, project: int) -> Any:
    """What nobody without the right may have changed."""
    settings = db.rows(
        "SELECT to_jsonb(p) - 'refit_requested_at' - 'retrain_requested_at' FROM projects_project p WHERE id = %s",
        project,
    )
    members = db.rows("SELECT id, user_id, role FROM projects_member WHERE project_id = %s ORDER BY id", project)
    open_ = db.one("SELECT count(*) FROM projects_assignment WHERE project_id = %s AND status = 'open'", project)
    revoked = db.one("SELECT count(revoked_at) FROM projects_invite WHERE project_id = %s", project)
    return db.holds(project), settings, members, open_, revoked


def test_every_endpoint_has_an_entry_in_the_table() -> None:
    from crowd.urls import urlpatterns

    ours = {(method, route.removeprefix("api/")) for method, route in routes(urlpatterns) if route.startswith("api/")}
    assert ours == set(ENDPOINTS)


@pytest.mark.parametrize(
    ("method", "route"), sorted(ENDPOINTS), ids=lambda value: value.replace("<int:project_id>", "1")
)
def test_an_endpoint_answers_those_who_may_and_is_404_to_all_others(
    method: str, route: str, mine: World, hers: World, actors: dict[str, Client], db: Database
) -> None:
    endpoint = ENDPOINTS[method, route]
    if method == "DELETE" and "member_id" in route:
        victim = enrol(mine.manager, mine.project, hers.annotator, "consumer")
        ids = {"project_id": mine.project, "member_id": victim}
    else:
        ids = mine.ids(route)
    arguments = endpoint.send(mine)
    path = filled(route, ids)
    before = snapshot(db, mine.project)

    for name in actors.keys() - endpoint.who:
        response = actors[name].request(method, path, **arguments)
        if name == "nobody":
            refused(response, 401, "not_authenticated")
            assert "WWW-Authenticate" in response.headers
        elif name == "mary":
            assert (method, route) in NOT_MINE or "token" in route
            assert response.status_code == 404 and response.json()["code"] == "unknown_assignment"
        else:
            refused(response, 404, "not_found")
    assert snapshot(db, mine.project) == before

    for name in sorted(endpoint.who):
        response = actors[name].request(method, path, **endpoint.send(mine))
        assert response.status_code == endpoint.status, f"{name}: {response.status_code} {response.text[:300]}"


@pytest.mark.parametrize(
    ("method", "route"), sorted(key for key in ENDPOINTS if "project_id" in key[1]), ids=lambda value: value[-40:]
)
def test_a_manager_of_one_project_is_nobody_in_another(
    method: str, route: str, mine: World, hers: World, cast: Cast, db: Database
) -> None:
    arguments = ENDPOINTS[method, route].send(mine)
    ids = hers.ids(route)
    before = snapshot(db, hers.project)

    response = cast.mary.request(method, filled(route, ids), **arguments)
    refused(response, 404, "not_found")
    nowhere = cast.mary.request(method, filled(route, {**ids, "project_id": 2_000_000_000}), **arguments)
    assert nowhere.content == response.content, "what is hidden and what does not exist look the same"

    # Her things under my project's address.
    if len(ids) > 1:
        response = cast.mary.request(method, filled(route, {**ids, "project_id": mine.project}), **arguments)
        assert response.status_code == 404, response.text
    assert snapshot(db, hers.project) == before


def test_a_vote_on_another_projects_assignment_is_a_vote_on_nothing(
    mine: World, hers: World, cast: Cast, db: Database
) -> None:
    enrol(hers.manager, hers.project, cast.bob, "annotator")
    enrol(mine.manager, mine.project, cast.bob, "annotator")
    ((his,),) = [[task["id"]] for task in lease(cast.bob, hers.project)]
    before = snapshot(db, hers.project), snapshot(db, mine.project)

    body = refused(vote(cast.bob, mine.project, his, "cat"), 404, "unknown_assignment", "votes.0.assignment")
    assert body["errors"][0]["code"] == "unknown_assignment"
    refused(cast.bob.post(f"/api/projects/{mine.project}/assignments/{his}/skip"), 404, "unknown_assignment")

    assert (snapshot(db, hers.project), snapshot(db, mine.project)) == before
    assert vote(cast.bob, hers.project, his, "cat").status_code == 200


@pytest.mark.parametrize("number", ["0", "99999999999999999999", "9223372036854775807"])
def test_an_id_of_any_size_is_404(number: str, cast: Cast, mine: World) -> None:
    for path in (f"/api/projects/{number}", f"/api/projects/{number}/tasks", f"/api/projects/{number}/consensus.csv"):
        refused(cast.mary.get(path), 404, "not_found")
    for path in ("runs/", "annotators/"):
        refused(cast.mary.get(f"/api/projects/{mine.project}/{path}{number}"), 404, "not_found")
    for path in ("members/", "invites/"):
        refused(cast.mary.delete(f"/api/projects/{mine.project}/{path}{number}"), 404, "not_found")
    refused(cast.mary.delete(f"/api/tokens/{number}"), 404, "not_found")


def test_a_list_of_projects_holds_ones_own(mine: World, hers: World, cast: Cast) -> None:
    listed = {row["id"]: row["role"] for row in cast.ada.pages("/api/projects")}
    assert listed[mine.project] == "annotator" and hers.project not in listed
    assert {row["id"] for row in cast.fred.pages("/api/projects")} >= {hers.project}


def test_somebody_who_was_removed_is_nobody_and_their_votes_stay(cast: Cast, db: Database) -> None:
    project = create_project(cast.mary, name="Removal")
    member = enrol(cast.mary, project, cast.bob, "annotator")
    upload(cast.mary, project, [{"data": {"n": i}} for i in range(3)])
    first, second = lease(cast.bob, project, 2)
    assert vote(cast.bob, project, first["id"], "cat").status_code == 200

    assert cast.mary.delete(f"/api/projects/{project}/members/{member}").status_code == 204

    refused(vote(cast.bob, project, second["id"], "cat"), 404, "not_found")
    refused(cast.bob.post(f"/api/projects/{project}/assignments", {"count": 1}), 404, "not_found")
    assert db.one("SELECT count(*) FROM projects_vote WHERE project_id = %s AND status = 'counted'", project) == 1
    (annotator,) = cast.mary.pages(f"/api/projects/{project}/annotators")
    assert annotator["votes"] == 1 and annotator["name"].startswith("bob.of.api")
