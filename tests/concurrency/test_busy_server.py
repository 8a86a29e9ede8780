"""A crowd at a campaign's end, and beside somebody who sends a great deal slowly."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from urllib.parse import urlsplit

from projects.models import Assignment, Role, Task, Vote
from tests.concurrency.conftest import Person
from tests.concurrency.races import together
from tests.services.campaign import Campaign, assert_counters_are_true, settle
from tests.support.client import Client, lease
from tests.support.stack import Stack

Make = Callable[..., Campaign]
MEGABYTE = 1_000_000


def drain(client: Client, project: int) -> int:
    """Vote until there is nothing left for this person; how many votes that were."""
    cast, status, votes = 0, "ok", []
    while status != "finished":
        if votes:
            answer = client.ok("POST", f"/api/projects/{project}/votes?next=10", {"votes": votes})
            assert {result["status"] for result in answer["results"]} == {"counted"}
            cast += len(votes)
        else:
            answer = client.ok("POST", f"/api/projects/{project}/assignments", {"count": 10})
        status = answer["status"]
        votes = [{"assignment": each["id"], "label": "cat"} for each in answer["assignments"]]
        if status == "waiting":
            time.sleep(0.05)
    return cast


def test_32_people_drain_2000_tasks_to_the_last_vote(campaign: Make, stack: Stack) -> None:
    c = campaign(tasks=2000, redundancy=3)
    with ExitStack() as clients:
        people = [clients.enter_context(enrolled(c, stack)) for _ in range(32)]
        cast = together([partial(drain, person, c.id) for person in people], database=False)

    assert sum(cast) == 6000 == Vote.objects.filter(project=c.id, status="counted").count()
    assert not Assignment.objects.filter(project=c.id, status="open").exists()
    settle(c.project)
    assert_counters_are_true(c.project)


def enrolled(c: Campaign, stack: Stack) -> Client:
    person = Person(stack.url)
    c.join(person.user)
    return person.client


def test_leases_go_on_beside_uploads_that_take_their_time(campaign: Make, stack: Stack) -> None:
    """Eight managers have sent half of 50 MB each and say nothing more: everybody else is answered meanwhile."""
    c = campaign(tasks=50)
    manager = Person(stack.url)
    member = c.join(manager.user)
    type(member).objects.filter(id=member.id).update(role=Role.MANAGER)
    line = b'{"data": {"text": "' + b"x" * (MEGABYTE - 40) + b'"}}\n'
    with ExitStack() as open_ones, manager.client, enrolled(c, stack) as annotator:
        uploads = [open_ones.enter_context(upload_of(manager.client, c.id, 50 * len(line))) for _ in range(8)]
        for upload in uploads:
            for _ in range(25):
                upload.sendall(line)
        for _ in range(20):
            (assignment,) = lease(annotator, c.id)
            vote = {"assignment": assignment["id"], "label": "cat"}
            annotator.ok("POST", f"/api/projects/{c.id}/votes", {"votes": [vote]})
        assert Task.objects.filter(project=c.id).count() == 50, "all of an upload or nothing"

        for _ in range(25):
            uploads[0].sendall(line)
        assert b" 201 " in uploads[0].recv(65536).split(b"\r\n")[0]
        assert Task.objects.filter(project=c.id).count() == 100


def upload_of(client: Client, project: int, length: int) -> socket.socket:
    """A connection on which an upload has begun."""
    url = urlsplit(client.base_url)
    connection = socket.create_connection((str(url.hostname), url.port or 80), timeout=240)
    head = [f"POST /api/projects/{project}/tasks HTTP/1.1", f"Host: {url.netloc}", f"Content-Length: {length}"]
    head += [f"Authorization: Bearer {client.token}", "Content-Type: application/x-ndjson", "", ""]
    connection.sendall("\r\n".join(head).encode())
    return connection
