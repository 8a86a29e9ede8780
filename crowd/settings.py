"""Settings, read from the environment: typed, and loud when a value is wrong.

Without ``DATABASE_URL`` the settings take the stack that ``manage.py up`` runs in ``CROWD_HOME``. Commands that need no
database (``up``, ``demo``, ``check``) work without either; a server without its settings refuses to start
(``require_service_settings``).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from crowd.supervisor.home import running_environment

BASE_DIR = Path(__file__).resolve().parent.parent

if "DATABASE_URL" not in os.environ:
    for _name, _value in running_environment().items():
        os.environ.setdefault(_name, _value)

env = environ.Env()

DEBUG = env.bool("CROWD_DEBUG", default=False)
PUBLIC_URL = env.str("CROWD_PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = env.list(
    "CROWD_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]", urlsplit(PUBLIC_URL).hostname]
)
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

# Without one, a key of this process alone: fine for a command, refused by a server.
SECRET_KEY = env.str("CROWD_SECRET_KEY", default="") or secrets.token_urlsafe(50)


def require_service_settings() -> None:
    """Raise ImproperlyConfigured unless this process can serve people: called by the web server and the workers."""
    for name in ("DATABASE_URL", "BROKER_URL", "CROWD_SECRET_KEY"):
        if not os.environ.get(name):
            raise ImproperlyConfigured(
                f"{name} is not set. Start everything with `manage.py up`, or set it yourself (docs/production.md)."
            )


INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "crowd",
    "projects",
    "aggregation",
]

# Plain votes and leases by token pass these by: `crowd.quick`.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",  # Content-Length: an answer in one piece
    "crowd.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "crowd.urls"
WSGI_APPLICATION = "crowd.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "crowd" / "templates"],
        "APP_DIRS": True,
    }
]

# --- Database and broker -------------------------------------------------------------------------------------------


def _database() -> dict[str, Any]:
    url = env.str("DATABASE_URL", default="")
    if not url:
        return {"ENGINE": "django.db.backends.dummy"}
    database = dict(env.db_url_config(url))
    if database["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured("DATABASE_URL must start with postgresql://: Crowd runs on PostgreSQL alone.")
    database["ENGINE"] = "crowd.database"
    # One persistent connection per worker thread (docs/decisions/0004-web-server.md).
    database["CONN_MAX_AGE"] = None
    database["CONN_HEALTH_CHECKS"] = True
    # What is prepared, `projects.queries` prepares: psycopg would deallocate it with its own after every rollback.
    # Its plans are for all parameters, and none is worth compiling: each run takes less than that would.
    given = database.get("OPTIONS", {})
    session = f"-c plan_cache_mode=force_generic_plan -c jit=off {given.get('options', '')}".strip()
    database["OPTIONS"] = {**given, "prepare_threshold": None, "options": session}
    return database


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CELERY_BROKER_URL = env.str("BROKER_URL", default="memory://")

# --- People --------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "projects.User"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

_HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_NAME = "crowd_session"
SESSION_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_AGE = 60 * 60 * 24 * 90
CSRF_COOKIE_NAME = "crowd_csrf"
CSRF_COOKIE_SECURE = _HTTPS
SECURE_SSL_REDIRECT = env.bool("CROWD_SSL_REDIRECT", default=False)
# Probes come from within and know no TLS.
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("CROWD_BEHIND_PROXY", default=False) else None
SECURE_HSTS_SECONDS = env.int("CROWD_HSTS_SECONDS", default=60 * 60 * 24 * 30 if _HTTPS else 0)
# Subdomains and preload lists are for whoever owns the domain to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- HTTP API ------------------------------------------------------------------------------------------------------

# A body that must be held in memory (all but uploads, which stream).
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# A whole upload, and one of its lines.
UPLOAD_MAX_BYTES = env.int("CROWD_UPLOAD_MAX_BYTES", default=512 * 1024 * 1024)
UPLOAD_MAX_LINE_BYTES = env.int("CROWD_UPLOAD_MAX_LINE_BYTES", default=1024 * 1024)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["crowd.auth.TokenAuthentication", "crowd.auth.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["crowd.renderers.FastJSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["crowd.parsers.BoundedJSONParser"],
    "EXCEPTION_HANDLER": "crowd.errors.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Crowd",
    "DESCRIPTION": "Crowd labelling whose labels can be trusted: people, label models and a learner in one loop.",
    "VERSION": "0.1.0",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "LeaseStatusEnum": "projects.serializers.LEASE_STATUSES",
        "ReviewActionEnum": "projects.models.ReviewAction",
        "ReviewReasonEnum": "projects.serializers.REVIEW_REASONS",
        "LearnerEnum": "projects.models.Learner",
        "LocalLearnerEnum": "aggregation.backtest_serializers.LOCAL_LEARNERS",
        "SkipReasonEnum": "projects.models.SkipReason",
        "RunStageEnum": "aggregation.models.RunStage",
        "StageEnum": "projects.models.Stage",
        "RuleActionEnum": "projects.serializers.ACTIONS",
        "SanctionActionEnum": "projects.models.Action",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "crowd.schema.every_operation_may_answer_an_error",
    ],
}

# Hosts (``host`` or ``host:port``) on which remote learners may be though they are not on public addresses.
REMOTE_LEARNER_HOSTS = env.list("CROWD_REMOTE_LEARNERS", default=[])
# The same for webhooks.
WEBHOOK_HOSTS = env.list("CROWD_WEBHOOK_HOSTS", default=[])

# --- Static files, time, logs --------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = env.str("CROWD_STATIC_ROOT", default=None)
# Served straight from the apps' folders: no collect step between a clone and a running page.
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
WHITENOISE_AUTOREFRESH = DEBUG

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("CROWD_LOG_LEVEL", default="INFO")},
}

# --- The loop ------------------------------------------------------------------------------------------------------

# Seconds between two sweeps: the longest that a lost hint can delay consensus.
SWEEP_SECONDS = env.float("CROWD_SWEEP_SECONDS", default=2.0)
# A refit starts at the earliest this long after the last one ended, so that a burst of votes is one refit.
REFIT_DEBOUNCE_SECONDS = env.float("CROWD_REFIT_DEBOUNCE_SECONDS", default=1.0)
