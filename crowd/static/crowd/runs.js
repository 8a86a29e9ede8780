// Runs: what refits and retrainings made of the votes, and what managers do about retrainings.

import * as api from "./api.js";
import { Table } from "./table.js";
import { Busy, Problem, count, html, moment, percent, useAction, useState } from "./ui.js";

export function RunButtons({ path, project, onRequested }) {
  const [asked, setAsked] = useState("");
  const [ask, { busy, error }] = useAction(async (kind) => {
    await api.post(`${path}/${kind}`);
    setAsked(kind === "refit" ? "Refit requested." : "Retraining requested.");
    onRequested();
  });
  return html`<div class="status">
    <small role="status">${asked}</small>
    <button class="outline" disabled=${busy} onClick=${() => ask("refit")}>Refit now</button>
    ${project.learner && html`<button class="outline" disabled=${busy} onClick=${() => ask("retrain")}>Retrain now</button>`}
    <${Problem} error=${error} />
  </div>`;
}

/** Refits and retrainings; what can be done about a retraining stands beside it. */
export function RunTable({ path, list }) {
  const [act, { busy, error }] = useAction(async (run, action) => {
    await api.post(`${path}/runs/${run.id}/${action}`);
    list.reload();
  });
  if (!list.rows) return html`<${Busy} />`;
  if (!list.rows.length) return html`<p class="muted">No run yet: the first follows the first votes.</p>`;
  const actionOf = (run) => {
    const action = actionFor(run);
    return action && html`<button class="link" disabled=${busy} onClick=${() => act(run, action)}>${ACTIONS[action]}</button>`;
  };
  return html`<${Table} label="Runs" head=${["Run", "Kind", "Started", "Took", "Result", ""]} classes=${["", "", "", "", "wide", ""]} list=${list}>
      ${(run) => [run.id, run.kind, moment(run.started_at), run.seconds == null ? "–" : `${run.seconds.toFixed(1)} s`, resultOf(run), actionOf(run)]}
    <//>
    <${Problem} error=${error} />`;
}

function resultOf(run) {
  if (run.status === "failed") return `failed: ${run.error}`;
  if (run.status === "running" && run.kind === "retraining") return progressOf(run);
  if (run.status !== "done") return run.status;
  return (run.kind === "refit" ? refitInWords : retrainingInWords)(run).filter(Boolean).join(" · ");
}

const ACTIONS = { cancel: "Cancel", restore: "Bring back" };
const STAGES = { training: "training", predicting: "predicting", applying: "applying its predictions" };

function actionFor(run) {
  if (run.kind === "retraining" && run.status === "running" && run.stage !== "applying") return "cancel";
  return run.restorable ? "restore" : null;
}

const progressOf = (run) => html`${STAGES[run.stage]} <progress value=${run.progress} max="1" aria-label="Progress of run ${run.id}"></progress> ${percent(run.progress)}`;

const refitInWords = ({ counts, metrics }) => [
  `${count(counts.votes)} votes of ${count(counts.annotators)} annotators on ${count(counts.tasks)} tasks`,
  counts.gold > 0 && `${count(counts.gold)} known labels`,
  metrics.mean_confidence != null && `mean confidence ${percent(metrics.mean_confidence, 1)}, ${metrics.calibration ? "calibrated" : "uncalibrated"}`,
  metrics.drift?.tasks > 0 && `relabelled ${percent(metrics.drift.relabelled, 1)} of ${count(metrics.drift.tasks)} tasks with new votes`,
  metrics.converged === false && "not converged",
];

const retrainingInWords = ({ counts, metrics, parameters }) => [
  `trained on ${count(counts.trained_on)} tasks`,
  metrics.left_out > 0 && `left out ${count(metrics.left_out)} it could not read`,
  counts.predicted != null && `${count(counts.predicted)} predicted`,
  metrics.promoted === false && `not in force: ${metrics.why}`,
  parameters.restores && `brought back from run ${parameters.restores}`,
  counts.not_asked > 0 && `not asked about ${count(counts.not_asked)} that had votes before`,
  counts.unreadable > 0 && `${count(counts.unreadable)} it could not read`,
  metrics.out_of_fold_agreement != null && `agrees with the people on ${percent(metrics.out_of_fold_agreement, 1)}`,
  metrics.gold > 0 && `right on ${percent(metrics.accuracy_gold, 1)} of ${count(metrics.gold)} known labels`,
];
