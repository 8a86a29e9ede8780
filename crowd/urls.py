from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from crowd import health

urlpatterns = [
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("api/", include("projects.urls")),
    path("api/", include("aggregation.urls")),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/reference", SpectacularSwaggerSplitView.as_view(url_name="schema")),
    path("learner/api/", include("aggregation.call_backs")),
    path("", include("crowd.pages")),
]

handler404 = "crowd.errors.not_found"
handler500 = "crowd.errors.server_error"
