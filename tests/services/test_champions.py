"""Champion and challenger: who steers, what a run keeps, and how an earlier champion comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aggregation.core import live
from aggregation.models import LearnerArtefact, PredictedChunk, Run
from aggregation.selectors import learning_curve_of, runs_of
from aggregation.services import artefacts
from aggregation.services.artefacts import DamagedArtefact, HeldOut
from aggregation.services.learner_runs import cancel_run, restore_run
from aggregation.services.retrain import retraining_due
from projects.errors import Conflict, NotFound
from projects.models import LiveModel, Prediction, Project, TaskQueue
from projects.services.projects import configure_project, request_retraining
from tests.services.campaign import Campaign, assert_state_is_fresh
from tests.services.test_learner_changes import train
from tests.services.test_retraining import learning, more_votes

Make = Callable[..., Campaign]


def champion(c: Campaign) -> int | None:
    return LiveModel.objects.get(project=c.id).learner_run


def restorable(c: Campaign) -> set[int]:
    return {run.id for run in runs_of(c.fresh()) if run.restorable}


def predictions(c: Campaign) -> dict[int, Any]:
    return dict(Prediction.objects.filter(task__project=c.id).values_list("task_id", "posterior"))


def test_a_run_keeps_what_it_saw_and_how_good_it_is(campaign: Make) -> None:
    c = learning(campaign, votes=10)
    c.upload([{"key": f"g{n}", "data": {"n": n}, "gold": "cat" if n < 10 else "dog"} for n in (2, 3, 15)])

    run = train(c)

    consensus = run.metrics["consensus"]
    assert consensus["tasks"] == 10 and consensus["accuracy"] == run.metrics["out_of_fold_agreement"]
    assert {"log_loss", "brier", "ece"} <= consensus.keys()
    assert [label["tasks"] for label in consensus["labels"]] == [5, 5]
    assert run.metrics["gold"] == run.metrics["gold_without_votes"] == run.metrics["random_gold"]["tasks"] == 3
    assert run.metrics["random_gold"]["accuracy"] == run.metrics["accuracy_gold"] == 1.0
    artefact = LearnerArtefact.objects.get(run=run)
    held_out = HeldOut.load(bytes(artefact.held_out or b""))
    stored = predictions(c)
    for task, proba in zip(held_out.tasks.tolist(), held_out.proba, strict=True):
        np.testing.assert_allclose(live.decode_posterior(stored[task], 2), proba, rtol=1e-6)
    assert not PredictedChunk.objects.filter(run=run).exists()


def test_a_challenger_that_is_worse_does_not_replace_the_champion(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = learning(campaign, votes=20, retrain_after_votes=1_000_000)
    first, said = train(c), predictions(c)
    turned_about(monkeypatch)

    second = train(c)

    assert second.status == "done" and second.metrics["promoted"] is False
    assert "worse than the champion's" in second.metrics["why"]
    assert second.metrics["challenge"]["tasks"] == 20 and second.metrics["challenge"]["difference"] > 0
    assert champion(c) == first.id and predictions(c) == said
    assert LearnerArtefact.objects.filter(run=second).exists()
    monkeypatch.undo()
    third = train(c)
    assert third.metrics["promoted"] and champion(c) == third.id


def turned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on learners are taught the opposite of what people say."""
    from aggregation.learners import Target

    honest = Target.winning
    monkeypatch.setattr(Target, "winning", lambda posterior: honest(np.asarray(posterior)[:, ::-1]))


def test_the_first_learner_and_one_of_another_kind_have_no_champion_to_beat(campaign: Make) -> None:
    c = learning(campaign, votes=10)
    assert train(c).metrics["challenge"] is None
    configure_project(project_id=c.id, version=c.fresh().version, changes={"learner": "embeddings"})

    run = train(c)

    assert run.metrics["challenge"] is None and champion(c) == run.id


def test_an_earlier_champion_comes_back_with_its_held_out_predictions(campaign: Make) -> None:
    c = learning(campaign, votes=10, retrain_after_votes=1_000_000)
    first, said = train(c), predictions(c)
    more_votes(c, "Bob", 20)
    second = train(c)
    assert champion(c) == second.id and predictions(c) != said

    asked = restore_run(project=c.fresh(), run_id=first.id)
    assert asked.status == "running" and champion(c) == second.id, "a job does it"
    restored = c.retrain()

    assert restored is not None and (restored.id, restored.status) == (asked.id, "done")
    assert restored.parameters["restores"] == first.id and champion(c) == restored.id
    assert predictions(c) == said
    assert LearnerArtefact.objects.get(run=restored).sha256 == LearnerArtefact.objects.get(run=first).sha256
    assert LiveModel.objects.get(project=c.id).prediction_weight == first.metrics["prediction_weight"]
    assert_state_is_fresh(c.project)
    assert not retraining_due(project_id=c.id)


def test_what_cannot_be_restored_says_why(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    c = learning(campaign, votes=20, retrain_after_votes=1_000_000)
    first = train(c)
    assert not restorable(c)
    with pytest.raises(Conflict, match="in force already"):
        restore_run(project=c.fresh(), run_id=first.id)
    with pytest.raises(NotFound):
        restore_run(project=c.fresh(), run_id=first.id + 1_000_000)
    with pytest.raises(Conflict, match="once in force"):
        restore_run(project=c.fresh(), run_id=Run.objects.filter(project=c.id, kind="refit").latest("id").id)
    second = train(c)
    turned_about(monkeypatch)
    worse = train(c)
    with pytest.raises(Conflict, match="once in force"):
        restore_run(project=c.fresh(), run_id=worse.id)
    assert restorable(c) == {first.id}
    asked = restore_run(project=c.fresh(), run_id=first.id)
    with pytest.raises(Conflict, match="running"):
        restore_run(project=c.fresh(), run_id=first.id)
    cancel_run(project=c.fresh(), run_id=asked.id)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"learner": "embeddings"})
    assert not restorable(c)
    with pytest.raises(Conflict, match="another learner"):
        restore_run(project=c.fresh(), run_id=first.id)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"learner": "numeric"})
    assert champion(c) is None and restorable(c) == {first.id, second.id}


def test_only_the_last_learners_that_were_in_force_are_kept(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefacts, "KEPT", 2)
    c = learning(campaign, votes=20, retrain_after_votes=1_000_000)
    first, second, third = train(c), train(c), train(c)

    def kept() -> set[int]:
        return set(LearnerArtefact.objects.filter(run__project=c.id).values_list("run", flat=True))

    assert kept() == {second.id, third.id} and restorable(c) == {second.id}
    with pytest.raises(Conflict, match="not kept any more") as refused:
        restore_run(project=c.fresh(), run_id=first.id)
    assert refused.value.code == "learner_not_kept"
    assert not Run.objects.filter(project=c.id, status="running").exists()
    first.refresh_from_db()
    assert first.metrics["promoted"] and first.counts["trained_on"], "the run stays"

    restore_run(project=c.fresh(), run_id=second.id)
    restored = c.retrain()
    assert restored is not None and champion(c) == restored.id and kept() == {third.id, restored.id}
    turned_about(monkeypatch)
    worse = train(c)
    assert not worse.metrics["promoted"] and kept() == {third.id, restored.id, worse.id}, "and the newest"
    newer = train(c)
    assert kept() == {third.id, restored.id, newer.id}


def test_a_damaged_artefact_is_not_restored(campaign: Make) -> None:
    c = learning(campaign, votes=20, retrain_after_votes=1_000_000)
    first, second = train(c), train(c)
    content = bytearray(LearnerArtefact.objects.get(run=first).content)
    content[len(content) // 2] ^= 1
    LearnerArtefact.objects.filter(run=first).update(content=bytes(content))
    asked = restore_run(project=c.fresh(), run_id=first.id)

    with pytest.raises(DamagedArtefact):
        c.retrain()

    asked.refresh_from_db()
    assert asked.status == "failed" and "checksum" in asked.error and champion(c) == second.id


def test_due_when_consensus_has_moved(campaign: Make) -> None:
    c = learning(campaign, votes=20, retrain_after_votes=1_000_000, retrain_after_moved=0.2)
    train(c)
    for who in ("Bob", "Cem"):
        c.import_votes([(str(n), who, "cat" if n < 10 else "dog") for n in range(20)])
    moved = c.refit().metrics["moved"]
    assert moved < 0.2 and not retraining_due(project_id=c.id), "everybody agrees"

    for who in ("Dan", "Eve", "Fay", "Gus", "Hal"):
        c.import_votes([(str(n), who, "dog") for n in range(8)])
    assert c.refit().metrics["moved"] >= 0.2
    assert retraining_due(project_id=c.id)

    assert c.retrain() is not None
    c.import_votes([("15", "Ida", "dog")])
    assert c.refit().metrics["moved"] == 0 and not retraining_due(project_id=c.id)


def test_nobody_pays_for_what_nobody_asks(campaign: Make) -> None:
    c = learning(campaign, votes=10)
    train(c)
    more_votes(c, "Bob", 1)
    assert "moved" not in Run.objects.filter(project=c.id, kind="refit").latest("id").metrics


def test_gold_that_experts_gave_in_reviews_measures_no_learner(campaign: Make) -> None:
    c = learning(campaign, votes=10)
    c.upload([{"key": "g", "data": {"n": 3}, "gold": "dog"}])
    from projects.models import Gold

    Gold.objects.filter(project=c.id).update(origin="review")
    assert train(c).metrics["gold"] == 0


def test_pools_are_predicted_and_prioritised_chunk_by_chunk_as_a_whole(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aggregation.services import predicting

    c = learning(campaign, votes=10)
    whole = train(c), predictions(c), dict(TaskQueue.objects.filter(project=c.id).values_list("task_id", "priority"))
    Project.objects.filter(id=c.id).update(retrain_after_votes=1_000_000)
    monkeypatch.setattr(predicting, "CHUNK", 3)
    LiveModel.objects.filter(project=c.id).update(learner_run=None)  # nor is the second taught beside a champion

    train(c)

    assert predictions(c) == whole[1]
    assert dict(TaskQueue.objects.filter(project=c.id).values_list("task_id", "priority")) == whole[2]


def test_cancelled_while_it_predicts_nothing_changes(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from aggregation.services import predicting

    c = learning(campaign, votes=10, retrain_after_votes=1_000_000)
    first, said = train(c), predictions(c)
    more_votes(c, "Bob", 20)
    monkeypatch.setattr(predicting, "CHUNK", 4)
    done, steps = predicting.predict_chunk, iter(["go on", "go on"])

    def then_cancel(*arguments: Any) -> Any:
        if not next(steps, None):
            run = Run.objects.get(project=c.id, status="running")
            assert run.stage == "predicting" and run.progress == pytest.approx(0.2) and run.counts["predicted"] == 8
            assert cancel_run(project=c.fresh(), run_id=run.id).status == "cancelled"
        return done(*arguments)

    monkeypatch.setattr(predicting, "predict_chunk", then_cancel)
    request_retraining(project_id=c.id)

    run = c.retrain()

    assert run is not None and run.status == "cancelled" and run.finished_at is not None
    assert champion(c) == first.id and predictions(c) == said
    assert not PredictedChunk.objects.filter(run=run).exists()
    assert not retraining_due(project_id=c.id)
    assert_state_is_fresh(c.project)


def test_cancelled_before_it_has_loaded_a_vote_it_does_not_begin_again(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aggregation.services import training

    c = learning(campaign, votes=10)
    assert retraining_due(project_id=c.id)
    loading = training.load_votes

    def then_cancel(**arguments: Any) -> Any:
        cancel_run(project=c.fresh(), run_id=Run.objects.get(project=c.id, kind="retraining").id)
        return loading(**arguments)

    monkeypatch.setattr(training, "load_votes", then_cancel)

    run = c.retrain()

    assert run is not None and run.status == "cancelled" and not retraining_due(project_id=c.id)
    more_votes(c, "Bob", 10)
    assert retraining_due(project_id=c.id)


def test_what_cannot_be_cancelled_says_why(campaign: Make) -> None:
    c = learning(campaign, votes=10)
    run = train(c)
    with pytest.raises(Conflict, match="done already"):
        cancel_run(project=c.fresh(), run_id=run.id)
    refit = Run.objects.filter(project=c.id, kind="refit").latest("id")
    with pytest.raises(Conflict, match="refit"):
        cancel_run(project=c.fresh(), run_id=refit.id)
    running = Run.objects.create(project=c.project, kind="retraining", stage="applying")
    with pytest.raises(Conflict, match="in force"):
        cancel_run(project=c.fresh(), run_id=running.id)


@pytest.mark.parametrize("stage", ["predicting", "applying"])
def test_a_run_that_was_killed_goes_on_where_it_was(
    campaign: Make, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    from aggregation.services import applying, predicting

    class Killed(BaseException):
        """No handler of ours sees a kill."""

    c = learning(campaign, votes=10, retrain_after_votes=1_000_000)
    monkeypatch.setattr(predicting, "CHUNK", 4)
    module, name = {"predicting": (predicting, "predict_chunk"), "applying": (applying, "_apply_next")}[stage]
    done, steps, calls = getattr(module, name), iter(["go on", "go on"]), []

    def until_killed(*arguments: Any) -> Any:
        calls.append(1)
        if next(steps, None) is None and len(calls) == 3:
            raise Killed
        return done(*arguments)

    monkeypatch.setattr(module, name, until_killed)
    request_retraining(project_id=c.id)
    with pytest.raises(Killed):
        c.retrain()
    left = Run.objects.get(project=c.id, kind="retraining")
    assert (left.status, left.stage) == ("running", stage)
    assert (champion(c) == left.id) == (stage == "applying")

    run = c.retrain()

    assert run is not None and run.id == left.id and run.status == "done" and run.counts["predicted"] == 20
    # 5 chunks: 2, the one that was killed, and 3 more. Applied, one more look finds nothing left.
    assert len(calls) == {"predicting": 6, "applying": 7}[stage]
    assert champion(c) == run.id and len(predictions(c)) == 20
    assert_state_is_fresh(c.project)
    assert not retraining_due(project_id=c.id)


def test_a_run_tells_what_the_next_votes_buy(campaign: Make) -> None:
    c = campaign(annotators=1, learner="numeric", learner_fields=["n"], retrain_after_votes=1_000_000)
    assert learning_curve_of(c.project)["run"] is None
    c.upload([{"key": str(n), "data": {"n": n}} for n in range(200)])
    c.import_votes([(str(n), "Ada", "cat" if n < 100 else "dog") for n in range(200)])
    c.refit()
    run = train(c)

    drawn = learning_curve_of(c.project)

    assert drawn["run"] == run.id
    assert [point["tasks"] for point in drawn["points"]] == [10, 20, 40, 80, 160]
    assert all(point["votes"] == point["tasks"] for point in drawn["points"]), "one vote a task"
    assert drawn["forecast"]["votes"] == 1000 and drawn["forecast"]["low"] <= drawn["forecast"]["high"]
    assert drawn["curve"][-1]["votes"] == 400 and drawn["says"]


def test_three_tasks_make_no_curve_and_say_so(campaign: Make) -> None:
    c = learning(campaign, votes=3)
    train(c)
    drawn = learning_curve_of(c.project)
    assert drawn["forecast"] is None and not drawn["stop"] and "Too few" in drawn["says"]
