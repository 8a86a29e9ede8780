"""Ports, hosts and URLs."""

import socket
from urllib.parse import urlsplit

LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with _probe(host) as probe:
        # Connections of a former run may linger; they don't hinder a server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    with _probe(host) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _probe(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)


def web_url(host: str, port: int) -> str:
    """The address to show: a host that means "every interface" is reached on this machine's own."""
    shown = LOOPBACK.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def with_scheme(scheme: str, url: str) -> str:
    return f"{scheme}://{url.partition('://')[2]}"


def place(url: str) -> str:
    """Host and port of a URL, without the password in it."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
