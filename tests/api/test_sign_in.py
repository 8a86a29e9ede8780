"""Ways in: one-time links, passwords, sessions, API tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest

from tests.api.support import Cast, Database, at_once, refused
from tests.support.client import Client, create_project
from tests.support.stack import Stack

PASSWORD = "seven green herons"


@pytest.fixture
def browser(stack: Stack) -> Iterator[Client]:
    """Somebody who is not signed in."""
    with Client(stack.url) as client:
        yield client


@pytest.fixture(scope="module")
def invite(cast: Cast) -> str:
    project = create_project(cast.mary, name="Sign-in")
    link: str = cast.mary.ok("POST", f"/api/projects/{project}/invites", {"role": "annotator"})["link"]
    return link.partition("#")[2]


@pytest.fixture(scope="module")
def paula(stack: Stack, invite: str) -> str:
    """Somebody with a password; her name."""
    with Client(stack.url) as client:
        client.ok("POST", "/api/join", {"invite": invite, "name": "paula.of.api", "password": PASSWORD})
    return "paula.of.api"


def sign_in(client: Client, token: str) -> int:
    return client.post("/api/session", {"link": token}).status_code


def test_a_one_time_link_opens_its_account_once(
    stack: Stack, browser: Client, db: Database, new_link: Callable[[str], str]
) -> None:
    link = new_link("lena.of.api")
    assert link.startswith(f"{stack.url}/sign-in#"), "the token is in the fragment, which no server logs"
    token = link.partition("#")[2]

    session = browser.ok("POST", "/api/session", {"link": token})

    assert session["user"]["name"] == "lena.of.api"
    assert session["user"]["may_create_projects"] is True
    with Client(stack.url) as second:
        refused(second.post("/api/session", {"link": token}), 400, "invalid_link", "link")
        assert second.ok("GET", "/api/session")["user"] is None
    stored = db.one("SELECT digest FROM projects_signinlink WHERE digest = %s", hashlib.sha256(token.encode()).digest())
    assert token.encode() not in bytes(stored)


def test_of_eight_who_use_a_link_at_the_same_moment_one_gets_in(stack: Stack, new_link: Callable[[str], str]) -> None:
    token = new_link("lena.of.api").partition("#")[2]
    clients = [Client(stack.url) for _ in range(8)]

    answers = at_once([lambda client=client: sign_in(client, token) for client in clients])

    assert sorted(answers) == [200] + [400] * 7
    for client in clients:
        client.close()


def test_an_expired_link_and_an_invented_one_open_nothing(
    browser: Client, db: Database, new_link: Callable[[str], str]
) -> None:
    token = new_link("lena.of.api").partition("#")[2]
    digest = hashlib.sha256(token.encode()).digest()
    db.rows("UPDATE projects_signinlink SET expires_at = now() - interval '1 second' WHERE digest = %s", digest)

    for given in (token, "invented", token[:-1], token + "x"):
        refused(browser.post("/api/session", {"link": given}), 400, "invalid_link", "link")
    assert browser.ok("GET", "/api/session")["user"] is None

    db.rows("UPDATE projects_signinlink SET expires_at = now() + interval '1 hour' WHERE digest = %s", digest)
    assert sign_in(browser, token) == 200


def test_a_name_and_its_password_sign_in_and_a_wrong_password_says_so(browser: Client, paula: str) -> None:
    for name, password in (("nobody.of.api", PASSWORD), (paula, " " + PASSWORD)):
        refused(browser.post("/api/session", {"name": name, "password": password}), 400, "wrong_password", "password")
    assert browser.ok("GET", "/api/session")["user"] is None

    assert browser.ok("POST", "/api/session", {"name": paula, "password": PASSWORD})["user"]["name"] == paula


def test_an_account_without_a_password_has_no_password_that_fits(stack: Stack, browser: Client, invite: str) -> None:
    with Client(stack.url) as client:
        client.ok("POST", "/api/join", {"invite": invite, "name": "nils.of.api"})
    given = {"name": "nils.of.api", "password": "!"}
    refused(browser.post("/api/session", given), 400, "wrong_password", "password")


def test_a_password_is_stored_by_a_slow_hash_and_a_weak_one_is_refused(
    browser: Client, invite: str, paula: str, db: Database
) -> None:
    assert db.one("SELECT password FROM projects_user WHERE name = %s", paula).startswith("scrypt$")
    for weak in ("short", "password123"):
        given = {"invite": invite, "name": "wanda.of.api", "password": weak}
        refused(browser.post("/api/join", given), 400, "invalid", "password")
    assert db.rows("SELECT 1 FROM projects_user WHERE name = 'wanda.of.api'") == []


@pytest.mark.parametrize("given", [{}, {"name": "a"}, {"password": "b"}, {"link": "a", "name": "b", "password": "c"}])
def test_signing_in_takes_a_name_and_password_or_a_link(browser: Client, given: dict[str, str]) -> None:
    refused(browser.post("/api/session", given), 400, "invalid", "body")


def test_signing_in_changes_the_session_and_signing_out_ends_it(browser: Client, paula: str) -> None:
    browser.ok("POST", "/api/session", {"name": paula, "password": PASSWORD})
    cookie = next(cookie for cookie in browser.http.cookies.jar if cookie.name == "crowd_session")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "Lax"
    stolen = cookie.value

    assert browser.delete("/api/session").status_code == 204

    assert browser.ok("GET", "/api/session")["user"] is None
    browser.http.cookies.set("crowd_session", str(stolen))
    assert browser.get("/api/projects").status_code == 401


def test_a_session_needs_the_csrf_token_for_whatever_changes_something(browser: Client, paula: str) -> None:
    browser.ok("POST", "/api/session", {"name": paula, "password": PASSWORD})
    tokens_before = browser.ok("GET", "/api/tokens")["results"]

    for method, path in (("POST", "/api/tokens"), ("DELETE", "/api/session"), ("POST", "/api/projects/1/tasks")):
        for headers in ({}, {"X-CSRFToken": "invented"}, {"X-CSRFToken": "x" * 32}):
            response = browser.http.request(method, path, json={"name": "by another site"}, headers=headers)
            refused(response, 403, "permission_denied")
    # What a form on another site can send without being asked first:
    for path in ("/api/tokens", "/api/projects", "/api/projects/1/tasks", "/api/projects/1/pause"):
        form = {"csrfmiddlewaretoken": "x" * 32, "name": "by another site"}
        assert browser.http.post(path, data=form).status_code in (403, 415), path
        # A connection of its own: the server may close one whose body it does not read.
        filled = browser.http.post(path, data={**form, "filling": "x" * 2_000_000}, headers={"Connection": "close"})
        assert filled.status_code in (403, 413, 415), path
        response = browser.http.post(path, content=b'{"name": "x"}', headers={"Content-Type": "text/plain"})
        assert response.status_code in (403, 415), path

    assert browser.ok("GET", "/api/tokens")["results"] == tokens_before
    assert browser.post("/api/tokens", {"name": "by myself"}).status_code == 201


def test_an_api_token_is_shown_once_and_stored_as_a_digest(cast: Cast, db: Database, stack: Stack) -> None:
    made = cast.ada.ok("POST", "/api/tokens", {"name": "for a script"})
    secret = made["token"]

    listed = cast.ada.http.get("/api/tokens", params={"limit": 1000})
    assert secret not in listed.text and secret[12:] not in listed.text
    ours = next(token for token in listed.json()["results"] if token["id"] == made["id"])
    assert set(ours) == {"id", "name", "prefix", "created_at", "revoked_at"}
    assert secret.startswith(ours["prefix"]) and len(ours["prefix"]) == 12
    ((row, digest),) = db.rows("SELECT t::text, digest FROM projects_apitoken t WHERE id = %s", made["id"])
    assert secret not in row and secret.encode().hex() not in row
    assert bytes(digest) == hashlib.sha256(secret.encode()).digest()
    with Client(stack.url, secret) as script:
        assert script.ok("GET", "/api/session")["user"]["name"] == "ada.of.api"


def test_a_revoked_token_opens_nothing_and_only_its_owner_can_revoke_it(cast: Cast, stack: Stack) -> None:
    made = cast.ada.ok("POST", "/api/tokens", {"name": "soon revoked"})
    with Client(stack.url, made["token"]) as script:
        refused(cast.mary.delete(f"/api/tokens/{made['id']}"), 404, "not_found")
        assert script.get("/api/projects").status_code == 200

        assert cast.ada.delete(f"/api/tokens/{made['id']}").status_code == 204

        response = script.get("/api/projects")
        refused(response, 401, "invalid_token")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        refused(script.get("/api/session"), 401, "invalid_token")
    refused(cast.ada.delete(f"/api/tokens/{made['id']}"), 404, "not_found")


@pytest.mark.parametrize("header", ["Bearer", "Bearer crowd_", "bearer x y", "Bearer " + "x" * 4000])
def test_an_invented_token_is_401(browser: Client, header: str) -> None:
    refused(browser.get("/api/projects", headers={"Authorization": header}), 401, "invalid_token")


def test_a_deactivated_account_has_no_way_in(stack: Stack, db: Database, invite: str) -> None:
    with Client(stack.url) as session:
        session.ok("POST", "/api/join", {"invite": invite, "name": "dora.of.api", "password": PASSWORD})
        token = session.ok("POST", "/api/tokens", {"name": "tests"})["token"]
        db.rows("UPDATE projects_user SET is_active = false WHERE name = 'dora.of.api'")

        assert session.get("/api/projects").status_code == 401
    with Client(stack.url, token) as script:
        refused(script.get("/api/projects"), 401, "invalid_token")
    with Client(stack.url) as again:
        given = {"name": "dora.of.api", "password": PASSWORD}
        refused(again.post("/api/session", given), 400, "wrong_password", "password")


def test_passwords_cannot_be_guessed_by_the_thousand(stack: Stack) -> None:
    with Client(stack.url) as guesser:
        answers = [
            guesser.post("/api/session", {"name": "nobody-of-this-name", "password": f"guess {n}"}) for n in range(30)
        ]
    # Each web process counts for itself.
    assert [answer.status_code for answer in answers[:5]] == [400] * 5
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "throttled")
