"""Connections to addresses that a manager has named: none into the operator's own network.

What is checked is the address that is connected to, so that neither another spelling of it (decimal, octal, IPv4 in
IPv6), nor a name that resolves differently the second time, gets past. There are no redirects and no proxies.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore

#: IPv4 addresses reached through a gateway (RFC 6052).
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(Exception):
    """The address is not one that may be connected to."""


class GuardedBackend(httpcore.SyncBackend):
    """Connects to public addresses, and to whatever hosts the operator allows. allowed: ``host`` or ``host:port``."""

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__()
        self.allowed = frozenset(allowed)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Raises AddressRefused if any address of the host is not public."""
        return super().connect_tcp(self.checked(host, port), port, timeout, local_address, socket_options)

    def connect_unix_socket(self, *arguments: Any, **named: Any) -> httpcore.NetworkStream:
        raise AddressRefused("sockets of this machine are not connected to")

    def checked(self, host: str, port: int) -> str:
        """The address to connect to."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} is unknown: {error}") from None
        addresses = [str(each[4][0]) for each in found]
        if not {host, f"{host}:{port}"} & self.allowed:
            for address in addresses:
                if not is_public(address):
                    raise AddressRefused(
                        f"{host} is {address}, which is not public: the operator may allow it (CROWD_REMOTE_LEARNERS)"
                    )
        return addresses[0]


def is_public(address: str) -> bool:
    """Whether an address is on the internet: not private, loopback, link-local, multicast or reserved.

    Nor one that carries such an IPv4 address within it.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner: list[Any] = []
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in NAT64:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return ip.is_global and not ip.is_multicast and all(is_public(str(each)) for each in inner if each)
