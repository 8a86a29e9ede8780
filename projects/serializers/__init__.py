"""Shapes of requests and answers: strict, and nothing but shape."""

from projects.serializers.conduct import *  # noqa: F403  # one name space of shapes
from projects.serializers.fields import *  # noqa: F403  # as above
from projects.serializers.money import *  # noqa: F403  # as above
from projects.serializers.people import *  # noqa: F403  # as above
from projects.serializers.projects import *  # noqa: F403  # as above
from projects.serializers.reviews import *  # noqa: F403  # as above
from projects.serializers.work import *  # noqa: F403  # as above
