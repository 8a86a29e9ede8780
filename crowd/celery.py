"""Celery: a message is a hint, PostgreSQL's rows are the truth (docs/decisions/0001-rows-are-the-truth.md)."""

import os

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crowd.settings")

from django.conf import settings  # noqa: E402  (the settings module must be named first)
from django.core.exceptions import ImproperlyConfigured  # noqa: E402  (likewise)

from crowd.settings import require_service_settings  # noqa: E402  (likewise)

app = Celery("crowd")
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_default_queue="crowd",
    # A hint lost with a killed worker is found by the sweeper; redelivering it an hour later would help nobody.
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    # Threads, not forked children: after a kill of an idle child the pool took no job any more, while the worker lived
    # on. A thread dies with its worker, and a dead worker is restarted.
    worker_pool="threads",
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options=(
        # Measured: no long poll, a short sleep between polls, and a dead database is noticed within 2 s.
        {"polling_interval": 0.1, "wait_time_seconds": 0, "init_extension": False, "pool_timeout": 2, "pool_size": 4}
        if settings.CELERY_BROKER_URL.startswith("pgmq")
        else {}
    ),
    beat_schedule={
        "sweep": {"task": "aggregation.sweep", "schedule": settings.SWEEP_SECONDS, "options": {"expires": 30}},
    },
)
app.autodiscover_tasks(lambda: ["projects", "aggregation"], related_name="jobs")


@signals.celeryd_init.connect
@signals.beat_init.connect
def refuse_to_start_half_configured(**_: object) -> None:
    """SystemExit, because Celery only logs whatever else a signal's receiver raises."""
    try:
        require_service_settings()
    except ImproperlyConfigured as problem:
        raise SystemExit(str(problem)) from problem
