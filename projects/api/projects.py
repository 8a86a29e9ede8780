"""Projects, members, invites."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models.functions import Now
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from projects.access import MANAGER, access_member, access_project
from projects.api.base import checked, user_of
from projects.api.idempotency import IDEMPOTENCY_KEY, idempotent
from projects.api.paging import PARAMETERS, page_schema, paginated
from projects.errors import NotFound
from projects.models import Member, ProjectStatus, Role
from projects.selectors import invites_of, members_of, projects_of
from projects.serializers import (
    PROJECT_FIELDS,
    InviteIn,
    InviteOut,
    MemberEdit,
    MemberOut,
    NewInviteOut,
    ProjectEdit,
    ProjectOut,
    ProjectSettings,
)
from projects.services import accounts, projects


def project_as_seen_by(member: Member) -> dict[str, Any]:
    """A project with the fields that this role may see."""
    member.project.role = member.role  # type: ignore[attr-defined]  # the serializer reads it beside the model's fields
    seen = ProjectOut(member.project).data
    return {name: seen[name] for name in PROJECT_FIELDS[Role(member.role)]}


class ProjectsView(APIView):
    @extend_schema(operation_id="projects", parameters=PARAMETERS, responses=page_schema("ProjectPage", ProjectOut))
    def get(self, request: Request) -> Response:
        """My projects."""
        return paginated(request, projects_of(user_of(request)), project_as_seen_by)

    @extend_schema(
        operation_id="create_project",
        parameters=[IDEMPOTENCY_KEY],
        request=ProjectSettings,
        responses={201: ProjectOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Create a project; you become its manager. Only for accounts that may create projects."""
        user = user_of(request)
        if not user.may_create_projects:
            raise NotFound("Your account may not create projects.")
        project = projects.create_project(creator=user, settings=checked(ProjectSettings, request))
        return Response(project_as_seen_by(access_member(user, project.id)), status=status.HTTP_201_CREATED)


class ProjectView(APIView):
    @extend_schema(operation_id="project", responses=ProjectOut)
    def get(self, request: Request, project_id: int) -> Response:
        return Response(project_as_seen_by(access_member(user_of(request), project_id)))

    @extend_schema(
        operation_id="configure_project", parameters=[IDEMPOTENCY_KEY], request=ProjectEdit, responses=ProjectOut
    )
    @idempotent
    def patch(self, request: Request, project_id: int) -> Response:
        """Change settings. Send the `version` you read: if somebody edited meanwhile, you get a 409."""
        access_project(user_of(request), project_id, MANAGER)
        changes = checked(ProjectEdit, request)
        version = changes.pop("version")
        projects.configure_project(project_id=project_id, version=version, changes=changes)
        return Response(project_as_seen_by(access_member(user_of(request), project_id)))


class _StatusView(APIView):
    new_status: ProjectStatus

    def _set(self, request: Request, project_id: int) -> Response:
        access_project(user_of(request), project_id, MANAGER)
        projects.set_status(project_id=project_id, status=self.new_status)
        return Response(project_as_seen_by(access_member(user_of(request), project_id)))


class PauseView(_StatusView):
    new_status = ProjectStatus.PAUSED

    @extend_schema(operation_id="pause_project", request=None, responses=ProjectOut)
    def post(self, request: Request, project_id: int) -> Response:
        """Hand out no tasks and take no votes until resumed."""
        return self._set(request, project_id)


class ResumeView(_StatusView):
    new_status = ProjectStatus.ACTIVE

    @extend_schema(operation_id="resume_project", request=None, responses=ProjectOut)
    def post(self, request: Request, project_id: int) -> Response:
        return self._set(request, project_id)


class MembersView(APIView):
    @extend_schema(operation_id="members", parameters=PARAMETERS, responses=page_schema("MemberPage", MemberOut))
    def get(self, request: Request, project_id: int) -> Response:
        project = access_project(user_of(request), project_id, MANAGER)
        return paginated(request, members_of(project), lambda member: MemberOut(member).data)


class MemberView(APIView):
    @extend_schema(operation_id="edit_member", request=MemberEdit, responses=MemberOut)
    def patch(self, request: Request, project_id: int, member_id: int) -> Response:
        """Give a member another role, other tags, or another stage of qualification."""
        project = access_project(user_of(request), project_id, MANAGER)
        if not accounts.edit_member(project=project, member_id=member_id, **checked(MemberEdit, request)):
            raise NotFound("This project has no such member.")
        return Response(MemberOut(members_of(project).get(id=member_id)).data)

    @extend_schema(operation_id="remove_member", responses={204: None})
    def delete(self, request: Request, project_id: int, member_id: int) -> Response:
        """End a membership. The votes stay."""
        project = access_project(user_of(request), project_id, MANAGER)
        if not accounts.remove_member(project=project, member_id=member_id):
            raise NotFound("This project has no such member.")
        return Response(status=status.HTTP_204_NO_CONTENT)


class InvitesView(APIView):
    @extend_schema(operation_id="invites", parameters=PARAMETERS, responses=page_schema("InvitePage", InviteOut))
    def get(self, request: Request, project_id: int) -> Response:
        project = access_project(user_of(request), project_id, MANAGER)
        return paginated(request, invites_of(project), lambda invite: InviteOut(invite).data)

    @extend_schema(operation_id="create_invite", request=InviteIn, responses={201: NewInviteOut})
    def post(self, request: Request, project_id: int) -> Response:
        """A link by which people join in one role. It is shown this once."""
        project = access_project(user_of(request), project_id, MANAGER)
        given = checked(InviteIn, request)
        invite, token = accounts.create_invite(
            project=project,
            role=Role(given["role"]),
            created_by=user_of(request),
            days=given["days"],
            max_uses=given["max_uses"],
            tags=given["tags"],
        )
        invite.refresh_from_db()
        link = f"{settings.PUBLIC_URL}/join#{token}"
        return Response({**InviteOut(invite).data, "link": link}, status=status.HTTP_201_CREATED)


class InviteView(APIView):
    @extend_schema(operation_id="revoke_invite", responses={204: None})
    def delete(self, request: Request, project_id: int, invite_id: int) -> Response:
        project = access_project(user_of(request), project_id, MANAGER)
        if not invites_of(project).filter(id=invite_id).update(revoked_at=Now()):
            raise NotFound("This project has no such invite.")
        return Response(status=status.HTTP_204_NO_CONTENT)
