"""One request to an address that somebody has named: guarded, without redirects, in no more time and bytes than it may.

A guard's refusal, a time-out and a broken connection are one kind of error, which says what happened in words.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpcore

from aggregation.remote.guard import AddressRefused, Guard, GuardedBackend


class NoAnswer(Exception):
    """No answer came; ``passing``: asking again in a moment may help."""

    def __init__(self, why: str, *, passing: bool) -> None:
        super().__init__(why)
        self.passing = passing


@dataclass(frozen=True)
class Answer:
    """What a server answered. complete: whether all of its body was read."""

    status: int
    content: bytes
    complete: bool


def ask(
    method: str, url: str, *, headers: Mapping[str, str], content: bytes, seconds: float, largest: int, guard: Guard
) -> Answer:
    """The answer to one request. seconds: for all of it; largest: bytes of its body that are read. Raises NoAnswer."""
    sent = {"Host": urlsplit(url).netloc.rpartition("@")[2], "Content-Length": str(len(content)), **headers}
    limits = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
    backend = GuardedBackend(guard, deadline=time.monotonic() + seconds)
    try:
        with (
            httpcore.ConnectionPool(network_backend=backend) as pool,
            pool.stream(
                method, url, headers=list(sent.items()), content=content, extensions={"timeout": limits}
            ) as response,
        ):
            received = bytearray()
            for chunk in response.iter_stream():
                received += chunk
                if len(received) > largest:
                    return Answer(response.status, bytes(received[:largest]), complete=False)
            return Answer(response.status, bytes(received), complete=True)
    except AddressRefused as error:
        raise NoAnswer(str(error), passing=False) from None
    except httpcore.TimeoutException:
        raise NoAnswer(f"did not answer within {seconds:.0f} s", passing=False) from None
    except httpcore.ConnectError as error:
        raise NoAnswer(f"could not be reached: {error}", passing=True) from None
    except httpcore.NetworkError as error:
        raise NoAnswer(f"the connection broke: {error}", passing=True) from None
    except httpcore.ProtocolError as error:
        raise NoAnswer(f"the answer is not HTTP: {error}", passing=True) from None
