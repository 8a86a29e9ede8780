"""Invites: who gets in, how often, and as what."""

from __future__ import annotations

import pytest

from tests.api.support import Cast, Database, at_once, refused
from tests.support.client import Client, create_project
from tests.support.stack import Stack


def invite(manager: Client, project: int, **settings: object) -> tuple[int, str]:
    made = manager.ok("POST", f"/api/projects/{project}/invites", {"role": "annotator", **settings})
    return made["id"], made["link"].partition("#")[2]


def roles(manager: Client, project: int) -> dict[str, str]:
    return {member["name"]: member["role"] for member in manager.pages(f"/api/projects/{project}/members")}


@pytest.mark.parametrize("role", ["annotator", "consumer", "manager"])
def test_an_invite_makes_a_member_of_its_role(cast: Cast, role: str) -> None:
    project = create_project(cast.mary, name=f"Invites for a {role}")
    _, token = invite(cast.mary, project, role=role)

    joined = cast.ada.post("/api/join", {"invite": token})

    assert joined.status_code == 201
    assert (joined.json()["project"], joined.json()["role"]) == (project, role)
    assert roles(cast.mary, project)["ada.of.api"] == role
    assert cast.ada.ok("GET", f"/api/projects/{project}")["role"] == role


def test_joining_twice_changes_nothing_and_uses_nothing_up(cast: Cast, project: int) -> None:
    number, token = invite(cast.mary, project, role="manager", max_uses=1)

    joined = cast.ada.ok("POST", "/api/join", {"invite": token})

    assert joined["role"] == "annotator", "an invite does not raise the role of somebody who is in already"
    listed = cast.mary.ok("GET", f"/api/projects/{project}/invites")["results"]
    assert next(row["uses"] for row in listed if row["id"] == number) == 0


def test_somebody_who_follows_links_twice_at_the_same_moment_is_in_once(cast: Cast, db: Database) -> None:
    for _ in range(4):
        project = create_project(cast.mary, name="Double click")
        numbers, tokens = zip(*(invite(cast.mary, project) for _ in range(4)), strict=True)

        answers = at_once(
            [lambda t=token: cast.ada.post("/api/join", {"invite": t}).status_code for token in tokens * 2]
        )

        assert answers == [201] * 8
        assert roles(cast.mary, project)["ada.of.api"] == "annotator"
        assert db.one("SELECT count(*) FROM projects_member WHERE project_id = %s", project) == 2
        assert db.one("SELECT max(uses) FROM projects_invite WHERE id = ANY(%s)", list(numbers)) == 1


def test_of_ten_strangers_who_race_for_three_places_three_get_in(cast: Cast, stack: Stack, db: Database) -> None:
    project = create_project(cast.mary, name="Three places")
    number, token = invite(cast.mary, project, max_uses=3)
    strangers = [Client(stack.url) for _ in range(10)]

    answers = at_once(
        [
            lambda c=client, i=i: c.post("/api/join", {"invite": token, "name": f"racer{i}.of.api"})
            for i, client in enumerate(strangers)
        ]
    )

    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [400] * 7
    for answer in answers:
        if answer.status_code == 400:
            refused(answer, 400, "invalid_link", "invite")
    assert db.one("SELECT uses FROM projects_invite WHERE id = %s", number) == 3
    assert db.one("SELECT count(*) FROM projects_user WHERE name LIKE 'racer%%of.api'") == 3, "no half-made accounts"
    assert len(roles(cast.mary, project)) == 4
    for client in strangers:
        client.close()


def test_a_revoked_or_expired_or_invented_invite_lets_nobody_in(cast: Cast, stack: Stack, db: Database) -> None:
    project = create_project(cast.mary, name="Closed")
    revoked, revoked_token = invite(cast.mary, project)
    expired, expired_token = invite(cast.mary, project)
    assert cast.mary.delete(f"/api/projects/{project}/invites/{revoked}").status_code == 204
    db.rows("UPDATE projects_invite SET expires_at = now() WHERE id = %s", expired)

    with Client(stack.url) as stranger:
        for token in (revoked_token, expired_token, "invented"):
            refused(stranger.post("/api/join", {"invite": token, "name": "late.of.api"}), 400, "invalid_link", "invite")
            refused(cast.ada.post("/api/join", {"invite": token}), 400, "invalid_link", "invite")

    assert list(roles(cast.mary, project)) == ["manager"]
    assert db.rows("SELECT 1 FROM projects_user WHERE name = 'late.of.api'") == []
    assert [row["id"] for row in cast.mary.pages(f"/api/projects/{project}/invites")] == [expired]
    refused(cast.mary.delete(f"/api/projects/{project}/invites/{revoked}"), 404, "not_found")


def test_a_new_person_needs_a_free_and_proper_name(cast: Cast, project: int, stack: Stack, db: Database) -> None:
    number, token = invite(cast.mary, project)
    before = db.one("SELECT count(*) FROM projects_user")

    with Client(stack.url) as stranger:
        join = lambda **given: stranger.post("/api/join", {"invite": token, **given})  # noqa: E731  (a name for one line)
        refused(join(), 400, "required", "name")
        refused(join(name=""), 400, "invalid", "name")
        refused(join(name="ada.of.api"), 409, "name_taken", "name")
        refused(join(name="eve\tof.api"), 400, "invalid", "name")
        refused(join(name="x" * 101), 400, "invalid", "name")
        refused(join(name="eve.of.api", role="manager"), 400, "invalid", "role")
        refused(join(name="eve.of.api", may_create_projects=True), 400, "invalid", "may_create_projects")
        assert stranger.ok("GET", "/api/session")["user"] is None

    assert db.one("SELECT count(*) FROM projects_user") == before
    assert db.one("SELECT uses FROM projects_invite WHERE id = %s", number) == 0


def test_an_invites_token_is_shown_once(cast: Cast, project: int, db: Database) -> None:
    number, token = invite(cast.mary, project)
    listed = cast.mary.get(f"/api/projects/{project}/invites?limit=1000")
    assert token not in listed.text and '"link"' not in listed.text
    assert token not in db.one("SELECT i::text FROM projects_invite i WHERE id = %s", number)


def test_the_last_manager_stays(cast: Cast) -> None:
    project = create_project(cast.mary, name="One manager")
    ((me, _),) = [(row["id"], row["role"]) for row in cast.mary.pages(f"/api/projects/{project}/members")]
    path = f"/api/projects/{project}/members/{me}"

    refused(cast.mary.delete(path), 409, "last_manager")
    refused(cast.mary.patch(path, {"role": "annotator"}), 409, "last_manager")
    assert cast.mary.ok("GET", f"/api/projects/{project}")["role"] == "manager"


def test_of_two_managers_who_remove_each_other_at_the_same_moment_one_stays(cast: Cast, db: Database) -> None:
    for _ in range(3):
        project = create_project(cast.mary, name="Two managers")
        _, token = invite(cast.mary, project, role="manager")
        cast.olga.ok("POST", "/api/join", {"invite": token})
        ids = {row["name"]: row["id"] for row in cast.mary.pages(f"/api/projects/{project}/members")}

        answers = at_once(
            [
                lambda p=project, i=ids: cast.mary.delete(f"/api/projects/{p}/members/{i['olga.of.api']}").status_code,
                lambda p=project, i=ids: cast.olga.delete(f"/api/projects/{p}/members/{i['manager']}").status_code,
            ]
        )

        assert answers.count(204) == 1, answers
        managers = (
            "SELECT count(*) FROM projects_member WHERE project_id = %s AND role = 'manager' AND user_id IS NOT NULL"
        )
        assert db.one(managers, project) == 1
