"""The part of ``/api/`` about consensus, skill and runs."""

from django.urls import path

from aggregation import api, backtest_api, tier_api, webhook_api
from aggregation.remote_api import RemoteLearnerView

urlpatterns = [
    path("projects/<int:project_id>/statistics", api.StatisticsView.as_view()),
    path("projects/<int:project_id>/annotators", api.AnnotatorsView.as_view()),
    path("projects/<int:project_id>/annotators/<int:annotator_id>", api.AnnotatorView.as_view()),
    path("projects/<int:project_id>/consensus", api.ConsensusView.as_view()),
    path("projects/<int:project_id>/consensus.csv", api.ConsensusCsvView.as_view()),
    path("projects/<int:project_id>/consensus.jsonl", api.ConsensusJsonlView.as_view()),
    path("projects/<int:project_id>/predictions", api.PredictionsView.as_view()),
    path("projects/<int:project_id>/predict", tier_api.PredictView.as_view()),
    path("projects/<int:project_id>/predict/<path:which>", tier_api.PredictedView.as_view()),
    path("projects/<int:project_id>/certificates", tier_api.CertificatesView.as_view()),
    path("projects/<int:project_id>/runs", api.RunsView.as_view()),
    path("projects/<int:project_id>/runs/<int:run_id>", api.RunView.as_view()),
    path("projects/<int:project_id>/runs/<int:run_id>/cancel", api.CancelView.as_view()),
    path("projects/<int:project_id>/runs/<int:run_id>/restore", api.RestoreView.as_view()),
    path("projects/<int:project_id>/learning-curve", api.LearningCurveView.as_view()),
    path("projects/<int:project_id>/forecast", api.OutlookView.as_view()),
    path("projects/<int:project_id>/accuracy-certificates", api.AccuracyCertificatesView.as_view()),
    path("projects/<int:project_id>/backtests", backtest_api.BacktestsView.as_view()),
    path("projects/<int:project_id>/backtests/<int:backtest_id>", backtest_api.BacktestView.as_view()),
    path("projects/<int:project_id>/remote-learner", RemoteLearnerView.as_view()),
    path("projects/<int:project_id>/webhooks", webhook_api.WebhooksView.as_view()),
    path("projects/<int:project_id>/webhooks/<int:webhook_id>", webhook_api.WebhookView.as_view()),
    path("projects/<int:project_id>/webhooks/<int:webhook_id>/secret", webhook_api.SecretView.as_view()),
    path("projects/<int:project_id>/refit", api.RefitView.as_view()),
    path("projects/<int:project_id>/retrain", api.RetrainView.as_view()),
]
