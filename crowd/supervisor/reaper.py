"""Run one part so that nothing of it outlives the supervisor.

    python -I -S reaper.py PARENT_PID STOP_SIGNAL UID:GID|- COMMAND...

A death signal alone is not enough. It is cleared by a change of user, it is not inherited by
the pool children of a part, and it kills without asking. So this small process sits between the
supervisor and the part: it hears of the supervisor's death, asks the part to stop, and kills
after a moment whatever still descends from it. Only the standard library, started by file
path, so that it is there in some 30 ms. Linux only.
"""

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress

GRACE = 2.0  # seconds between asking a part to stop and killing it, once the supervisor is dead
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
FORWARDED = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP}
WATCHED = FORWARDED | {signal.SIGCHLD}


def prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, instead of init."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def children() -> dict[int, list[int]]:
    """Every process of this machine by parent, the oldest first."""
    found: dict[int, list[tuple[int, int]]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:  # it has just ended
            continue
        parent, started = int(fields[1]), int(fields[19])
        found.setdefault(parent, []).append((started, int(name)))
    return {parent: [pid for _, pid in sorted(pids)] for parent, pids in found.items()}


def descendants(root: int) -> list[int]:
    tree = children()
    found = list(tree.get(root, ()))
    for pid in found:  # grows while it is walked
        found.extend(tree.get(pid, ()))
    return found


def kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def drop_rights(user: str) -> None:
    uid, gid = (int(part) for part in user.split(":"))
    os.setgroups([gid])
    os.setgid(gid)
    os.setuid(uid)


def start(command: list[str]) -> int:
    reaper = os.getpid()
    part = os.fork()
    if part:
        return part
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != reaper:
            os._exit(1)
        os.closerange(3, 1 << 20)  # what the reaper holds, it alone holds
        # Python ignores SIGPIPE, and ignored or blocked signals would be inherited.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        # Not execvp: it imports a module, which fewer rights may not be able to read any more.
        os.execv(command[0], command)
    except BaseException as problem:
        os.write(2, f"cannot run {command[0]}: {problem}\n".encode())
    os._exit(127)


def reap(part: int) -> int | None:
    """Collect the dead, adopted ones too; the part's wait status if it is among them."""
    status = None
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == part:
                status = ended[1]
    except ChildProcessError:
        pass
    return status


def watch(part: int, parent: int, stop_signal: int) -> int:
    """Wait for the part's end, passing signals on; return its wait status."""
    kill_at = None
    while True:
        # The death signal wakes us at once; the time-out is for the case that it was missed.
        received = signal.sigtimedwait(WATCHED, 0.1 if kill_at else 1.0)
        status = reap(part)
        if status is not None:
            return status
        if kill_at is not None:
            if time.monotonic() > kill_at:
                kill_all()
        elif os.getppid() != parent:
            kill_at = time.monotonic() + GRACE
            kill(part, stop_signal)
        elif received and received.si_signo in FORWARDED:
            kill(part, received.si_signo)


def kill_all() -> None:
    for pid in descendants(os.getpid()):
        kill(pid, signal.SIGKILL)


def sweep() -> None:
    """Kill what the part left behind, until this process has no child any more.

    At once and without asking: whatever runs here has to survive a kill anyway, and the
    restart of the part waits for this.
    """
    while True:
        kill_all()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def main(parent: int, stop_signal: int, user: str, command: list[str]) -> int:
    if user != "-":
        drop_rights(user)  # first: a change of user clears the death signal
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the death signal was set
        return 1
    adopt_orphans()
    part = start(command)
    status = watch(part, parent, stop_signal)
    sweep()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
