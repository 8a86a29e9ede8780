"""The items of a JSON list, cut out of a stream one by one: bounded in memory, whatever the list's length or depth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from projects.errors import Invalid

CHUNK = 1 << 18

OPENING = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:(\[)|\{\s*"tasks"\s*:\s*\[)')
# A whole string, a bracket, at the top a comma; or the quote of a string that does not end in what was read so far.
STRING = rb'"(?:[^"\\]++|\\.)*+"'
INSIDE = re.compile(STRING + rb'|[\[\]{}"]', re.DOTALL)
AT_THE_TOP = re.compile(STRING + rb'|[\[\]{},"]', re.DOTALL)


class NotJson(Exception):
    """The list can't be cut into items any further."""


class ItemTooLong(Exception):
    """An item is longer than allowed."""


def json_items(stream: IO[bytes], limit: int) -> Iterator[bytes]:
    """The text of each item of ``[…]`` or ``{"tasks": […]}``: whether it is JSON itself is the caller's to find out.

    Raises Invalid where there is no list, NotJson where it does not end well, ItemTooLong beyond ``limit`` bytes.
    """
    buffer = stream.read(CHUNK)
    opening = OPENING.match(buffer)
    if opening is None:
        raise Invalid('Send a list of tasks: [{"data": {…}}, …] or {"tasks": […]}.', code="not_a_list")
    start = position = opening.end()
    depth = count = 0
    while True:
        token = (INSIDE if depth else AT_THE_TOP).search(buffer, position)
        mark = token[0] if token else b""
        if token is None or mark == b'"':
            if len(buffer) - start > limit:
                raise ItemTooLong
            more = stream.read(CHUNK)
            if not more:
                raise NotJson("the list does not end")
            position = (token.start() if token else len(buffer)) - start
            buffer, start = buffer[start:] + more, 0
            continue
        position = token.end()
        if mark in (b"[", b"{"):
            depth += 1
        elif depth:
            depth -= mark in (b"]", b"}")
        elif mark in (b",", b"]"):
            item = buffer[start : token.start()]
            if len(item) > limit:
                raise ItemTooLong
            if mark == b"," or count or item.strip():
                count += 1
                yield item
            start = position
            if mark == b"]":
                break
    _check_end(stream, buffer[position:], b"" if opening[1] else b"}")


def _check_end(stream: IO[bytes], rest: bytes, expected: bytes) -> None:
    while len(rest := rest.strip()) <= len(expected) and (more := stream.read(CHUNK)):
        rest += more
    if rest != expected:
        raise NotJson("something else follows the list" if rest else "the object around the list does not end")
