"""The page shells: static HTML that loads one script each. What a page shows comes from the REST API."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView


def shell(title: str, script: str, *, charts: bool = False) -> Callable[..., HttpResponse]:
    """A view that answers every visitor with the same HTML; the script asks the API who they are."""

    @require_safe
    def view(request: HttpRequest, **ids: int) -> HttpResponse:
        response = render(request, "pages/shell.html", {"title": title, "script": f"crowd/{script}", "charts": charts})
        # Names of files may change with a new version: ask again each time.
        response.headers["Cache-Control"] = "no-cache"
        return response

    return view


urlpatterns = [
    path("", shell("Projects", "home.js"), name="home"),
    path("sign-in", shell("Sign in", "sign-in.js"), name="sign-in"),
    path("join", shell("Join a project", "join.js"), name="join"),
    path("annotate/", shell("Annotate", "annotate.js"), name="annotate"),
    path("projects/new/", shell("New project", "new-project.js"), name="new-project"),
    path("projects/<int:project>/", shell("Project", "project.js", charts=True), name="project"),
    path("projects/<int:project>/what-if/", shell("What if?", "what-if.js", charts=True), name="what-if"),
    path("projects/<int:project>/review/", shell("Review", "review.js"), name="review"),
    # What people type.
    path("annotate", RedirectView.as_view(pattern_name="annotate", query_string=True)),
    path("projects/", RedirectView.as_view(pattern_name="home")),
    path("projects/new", RedirectView.as_view(pattern_name="new-project")),
    path("projects/<int:project>/what-if", RedirectView.as_view(pattern_name="what-if")),
    path("projects/<int:project>/review", RedirectView.as_view(pattern_name="review")),
    path("projects/<int:project>", RedirectView.as_view(pattern_name="project")),
]
