"""Connections to addresses that a manager has named: none into the operator's own network.

What is checked is the address that is connected to, so that neither another spelling of it (decimal, octal, IPv4 in
IPv6), nor a name that resolves differently the second time, gets past. There are no redirects and no proxies.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import httpcore

#: IPv4 addresses reached through a gateway (RFC 6052).
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: Never on the internet, though not every Python says so: IPv4-compatible (RFC 4291, 2.5.5.1), which also holds the
#: loopback address; NAT64 within a network (RFC 8215); site-local (RFC 3879).
NOT_GLOBAL = [ipaddress.IPv6Network(each) for each in ("::/96", "64:ff9b:1::/48", "fec0::/10")]


class AddressRefused(Exception):
    """The address is not one that may be connected to."""


@dataclass(frozen=True)
class Guard:
    """Whatever is public may be connected to, and the hosts (``host`` or ``host:port``) that the operator allows by a
    setting of this name."""

    allowed: Sequence[str] = ()
    setting: str = "CROWD_REMOTE_LEARNERS"


class GuardedBackend(httpcore.SyncBackend):
    """Connections that a guard lets pass. deadline: when they end, whatever they are at, by the monotonic clock."""

    def __init__(self, guard: Guard, deadline: float = math.inf) -> None:
        super().__init__()
        self.guard, self.deadline = guard, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Raises AddressRefused if any address of the host is not public."""
        address = self.checked(host, port)
        left = time_left(self.deadline, timeout)  # to look up the name has taken some, too
        return Hurried(super().connect_tcp(address, port, left, local_address, socket_options), self.deadline)

    def connect_unix_socket(self, *arguments: Any, **named: Any) -> httpcore.NetworkStream:
        raise AddressRefused("sockets of this machine are not connected to")

    def checked(self, host: str, port: int) -> str:
        """The address to connect to."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # the latter: no name could be spelt like this
            raise httpcore.ConnectError(f"{host} is unknown: {error}") from None
        addresses = [str(each[4][0]) for each in found]
        if not {host, f"{host}:{port}"} & set(self.guard.allowed):
            for address in addresses:
                if not is_public(address):
                    why = f"{host} is {address}, which is not public: the operator may allow it"
                    raise AddressRefused(f"{why} ({self.guard.setting})")
        return addresses[0]


class Hurried(httpcore.NetworkStream):
    """A connection that ends at its deadline also where the other side sends a byte now and then."""

    #: Bytes written at a time: so much may be under way when the deadline comes.
    PART = 16 * 1024

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self.stream, self.deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, time_left(self.deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for first in range(0, len(buffer), self.PART):
            self.stream.write(buffer[first : first + self.PART], time_left(self.deadline, timeout))

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = time_left(self.deadline, timeout)
        return Hurried(self.stream.start_tls(ssl_context, server_hostname, left), self.deadline)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


def time_left(deadline: float, timeout: float | None) -> float:
    """Seconds that the next step may take. Raises httpcore.ReadTimeout after the deadline."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time is up")
    return left if timeout is None else min(left, timeout)


def is_public(address: str) -> bool:
    """Whether an address is on the internet: not private, loopback, link-local, multicast or reserved.

    Nor one that carries such an IPv4 address within it.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner: list[Any] = []
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in network for network in NOT_GLOBAL):
            return False
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in NAT64:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return ip.is_global and not ip.is_multicast and all(is_public(str(each)) for each in inner if each)
