"""The web process: no crowd-kit, pandas, numba or scikit-learn is ever imported here (tests/test_house.py)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crowd.settings")

from crowd.settings import require_service_settings  # noqa: E402  (the settings module must be named first)

require_service_settings()
_django = get_wsgi_application()

from crowd.quick import QuickLane  # noqa: E402  (models can be imported once Django is set up)

application = QuickLane(_django)
