"""The part of ``/api/`` about people and work."""

from django.urls import path

from projects.api import accounts, conduct, payments, projects, reviews, work

urlpatterns = [
    path("session", accounts.SessionView.as_view()),
    path("join", accounts.JoinView.as_view()),
    path("tokens", accounts.TokensView.as_view()),
    path("tokens/<int:token_id>", accounts.TokenView.as_view()),
    path("projects", projects.ProjectsView.as_view()),
    path("projects/<int:project_id>", projects.ProjectView.as_view()),
    path("projects/<int:project_id>/pause", projects.PauseView.as_view()),
    path("projects/<int:project_id>/resume", projects.ResumeView.as_view()),
    path("projects/<int:project_id>/members", projects.MembersView.as_view()),
    path("projects/<int:project_id>/members/<int:member_id>", projects.MemberView.as_view()),
    path("projects/<int:project_id>/invites", projects.InvitesView.as_view()),
    path("projects/<int:project_id>/invites/<int:invite_id>", projects.InviteView.as_view()),
    path("projects/<int:project_id>/tasks", work.TasksView.as_view()),
    path("projects/<int:project_id>/votes/import", work.ImportVotesView.as_view()),
    path("projects/<int:project_id>/assignments", work.AssignmentsView.as_view()),
    path("projects/<int:project_id>/assignments/<uuid:assignment_id>/skip", work.SkipView.as_view()),
    path("projects/<int:project_id>/assignments/<uuid:assignment_id>/release", work.ReleaseView.as_view()),
    path("projects/<int:project_id>/assignments/<uuid:assignment_id>/renew", work.RenewView.as_view()),
    path("projects/<int:project_id>/votes", work.VotesView.as_view()),
    path("projects/<int:project_id>/payments", payments.PaymentsView.as_view()),
    path("projects/<int:project_id>/payments.csv", payments.PaymentsCsvView.as_view()),
    path("projects/<int:project_id>/payments/summary", payments.EarningsView.as_view()),
    path("projects/<int:project_id>/rules", conduct.RulesView.as_view()),
    path("projects/<int:project_id>/rules/<int:rule_id>", conduct.RuleView.as_view()),
    path("projects/<int:project_id>/sanctions", conduct.SanctionsView.as_view()),
    path("projects/<int:project_id>/sanctions/<int:sanction_id>/lift", conduct.LiftView.as_view()),
    path("projects/<int:project_id>/members/<int:member_id>/sanctions", conduct.MemberSanctionsView.as_view()),
    path("projects/<int:project_id>/reviews", reviews.ReviewsView.as_view()),
    path("projects/<int:project_id>/reviews/<int:task_id>", reviews.ReviewView.as_view()),
    path("projects/<int:project_id>/me", work.ProgressView.as_view()),
]
