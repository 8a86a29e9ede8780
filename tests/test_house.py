"""The house rules that a test can keep."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("sklearn", "pandas", "pyarrow", "numba", "crowdkit", "scipy")


def test_a_web_process_imports_nothing_heavy() -> None:
    code = (
        "import crowd.wsgi, sys; from django.urls import get_resolver; get_resolver().url_patterns;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    environment = {
        **os.environ,
        "DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/nowhere",
        "BROKER_URL": "memory://",
        "CROWD_SECRET_KEY": "only-for-this-test" * 4,
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_core_loads_without_django() -> None:
    code = (
        "import sys, pkgutil, importlib, aggregation.core as core;"
        "[importlib.import_module(f'aggregation.core.{m.name}') for m in pkgutil.iter_modules(core.__path__)];"
        "print([name for name in ('django', 'celery', 'psycopg', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_a_server_without_its_settings_refuses_to_start_and_says_what_is_missing() -> None:
    done = subprocess.run([sys.executable, "-c", "import crowd.wsgi"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "DATABASE_URL is not set" in done.stderr


def test_a_database_that_is_not_postgresql_is_refused() -> None:
    environment = {**os.environ, "DATABASE_URL": "sqlite:///nothing.db", "DJANGO_SETTINGS_MODULE": "crowd.settings"}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "postgresql://" in done.stderr


def test_models_and_migrations_agree() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_index_and_constraint_of_the_hot_tables_is_explained() -> None:
    for source in ("projects/models/work.py", "aggregation/models.py"):
        lines = (ROOT / source).read_text().splitlines()
        for number, line in enumerate(lines):
            if re.search(r"models\.(Index|UniqueConstraint)\(", line):
                explained = "#" in line or "#" in lines[number - 1]
                assert explained, f"{source}:{number + 1} does not say who reads it"


def test_no_index_address_and_no_lock_file_is_kept() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    assert "uv.lock" not in tracked
    assert "[[tool.uv.index]]" not in (ROOT / "pyproject.toml").read_text()
