from django.apps import AppConfig


class CrowdConfig(AppConfig):
    name = "crowd"

    def ready(self) -> None:
        # Web processes send hints too: make our Celery app the current one.
        from crowd import celery  # noqa: F401  (imported for its effect)
