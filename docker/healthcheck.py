"""Is the part in this container healthy? Exit status 0 if so; otherwise one line that says what is wrong.

python docker/healthcheck.py web PORT    it answers, and reaches the database
python docker/healthcheck.py beat        it is connected to the broker

Only the standard library: it runs every few seconds. (The worker is asked by `celery inspect ping`.)
"""

import http.client
import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

ESTABLISHED = "01"  # the kernel's tcp_states.h


def web(port: int) -> str:
    """As the proxy in front of it asks: with the public host, and over https if that is what people use."""
    public = urlsplit(os.environ["CROWD_PUBLIC_URL"])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/health/ready", headers={"Host": public.netloc, "X-Forwarded-Proto": public.scheme})
        answer = connection.getresponse()
        return "" if answer.status == 200 else f"/health/ready answered {answer.status}: {answer.read(200)!r}"
    except (OSError, http.client.HTTPException) as problem:
        return f"/health/ready did not answer: {problem}"
    finally:
        connection.close()


def beat() -> str:
    broker = urlsplit(os.environ["BROKER_URL"])
    port = broker.port or 5672
    processes = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if is_beat(pid)]
    if not processes:
        return "no beat is running"
    connected = sockets_to(port)
    if any(connected & sockets_of(pid) for pid in processes):
        return ""
    return f"beat is not connected to the broker at {broker.hostname}:{port}"


def is_beat(pid: int) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it has just ended
        return False
    return b"beat" in arguments and any(argument.endswith(b"celery") for argument in arguments)


def sockets_of(pid: int) -> set[str]:
    """Inodes of the sockets that this process has open."""
    found = set()
    try:
        for handle in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{handle}")
            if target.startswith("socket:["):
                found.add(target[len("socket:[") : -1])
    except OSError:  # it has just ended, or is another account's
        pass
    return found


def sockets_to(port: int) -> set[str]:
    """Inodes of this network's established TCP connections to that port, wherever it is."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if os.path.exists(table) else []:
            fields = line.split()
            if fields[3] == ESTABLISHED and int(fields[2].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def main(part: str, *arguments: str) -> str:
    socket.setdefaulttimeout(4)
    return web(int(arguments[0])) if part == "web" else beat()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or 0)
