"""Django's PostgreSQL backend with a health check that asks the operating system, not the server."""

from __future__ import annotations

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A kept connection is looked at before a request uses it (``CONN_HEALTH_CHECKS``).

    Django sends ``SELECT 1`` for that, a round trip in every request. A server that has ended the session, or is gone,
    has closed the socket, which is then readable; nothing else is ever waiting there between requests.
    """

    def is_usable(self) -> bool:
        if self.connection is None or self.connection.closed:
            return False
        waiting = select.poll()
        waiting.register(self.connection.fileno(), select.POLLIN)
        return not waiting.poll(0)
