// How good the learner is, and what more votes will teach it.

import * as api from "./api.js";
import { Forecast, LearningCurve } from "./charts.js";
import { RemoteLearner } from "./remote-learner.js";
import { count, html, usePoll } from "./ui.js";

const CURVE_MS = 10_000;

/** current: the run whose learner is in force, if there is one; runs: the latest. */
export function Learning({ path, project, runs, current, onRequested }) {
  if (!project.learner) return html`<p class="muted">This project has no learner. Choose one under Settings and it is trained as votes arrive.</p>`;
  const retrainings = (runs ?? []).filter((run) => run.kind === "retraining");
  const points = retrainings
    .filter((run) => run.status === "done")
    .map((run) => ({ votes: run.counts?.votes ?? 0, accuracy: run.metrics?.accuracy_gold, agreement: run.metrics?.out_of_fold_agreement }))
    .reverse();
  const failed = retrainings[0]?.status === "failed" && retrainings[0];
  return html`${failed && html`<p class="unsent" role="status">The last training failed${current ? ", and the learner before it goes on" : ""}: ${failed.error}</p>`}
    ${project.learner === "remote" && html`<${RemoteLearner} path=${path} onRequested=${onRequested} />`}
    <${LearningCurve} points=${points} />
    <p class="muted small"><span class="key line"></span> accuracy on known labels <span class="key dash"></span> agreement with the people's consensus</p>
    ${points.length === 0 && !current
      ? html`<p class="muted small">First training after ${count(project.retrain_after_votes)} votes, or now with “Retrain now”.</p>`
      : html`<${NextVotes} path=${path} />`}`;
}

function NextVotes({ path }) {
  const drawn = usePoll(() => api.get(`${path}/learning-curve`), CURVE_MS, []).value;
  if (!drawn || drawn.run == null) return null;
  return html`<h3>What more votes will teach it</h3>
    ${drawn.curve.length ? html`<${Forecast} drawn=${drawn} />` : html`<p class="muted small">${drawn.says}</p>`}`;
}
