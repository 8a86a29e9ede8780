// How right a project's labels are, what is certified of them, and what its target takes or its budget buys.

import * as api from "./api.js";
import { Forecast } from "./charts.js";
import { count, html, moment, percent, usePoll } from "./ui.js";

const POLL_MS = 10_000;

export function Outlook({ path, project }) {
  const seen = usePoll(() => api.get(`${path}/forecast`), POLL_MS, []).value;
  if (project.target_accuracy == null && project.budget == null) return null;
  return html`<section class="panel" aria-label="Target">
    <h2>${project.target_accuracy == null ? "What the votes buy" : `Target: ${percent(project.target_accuracy, 1)} of all labels right`}</h2>
    ${project.stopped_at &&
    html`<p class="unsent" role="status">The target is certified since ${moment(project.stopped_at)}: nobody gets a task. To go on, raise it under Settings.</p>`}
    ${seen?.accuracy ? html`<${Figures} seen=${seen} /><${Curve} seen=${seen} />` : html`<p class="muted small">The first figures come with the next refit.</p>`}
  </section>`;
}

function Figures({ seen }) {
  const { accuracy, audits, needed, full, budget } = seen;
  const figures = [["Right now, about", percent(accuracy.expected, 1), accuracy.low == null ? "uncalibrated" : `${percent(accuracy.low, 1)} to ${percent(accuracy.high, 1)}`]];
  if (audits) {
    figures.push(["Certified", `≥ ${percent(seen.certified, 1)}`, `with ${percent(seen.target_accuracy_confidence, 1)} confidence`]);
    const wait = audits.waiting > 0 ? html`, <a href="review/">${count(audits.waiting)} wait for an expert</a>` : "";
    figures.push(["Audits", count(audits.answered), html`${count(audits.right)} right${wait}; ${count(audits.left)} more allowed`]);
    const missing = !isCertified(seen) && (audits.asked ? ["Audits to go, about", audits.needed, audits.least, audits.most] : needed && ["Votes to go, about", needed.votes, needed.low, needed.high]);
    if (missing) figures.push(toGo(...missing));
  }
  if (full.accuracy != null) figures.push(["With all votes", percent(full.accuracy, 1), `${count(full.votes)} more, as redundancy allows`]);
  if (budget?.accuracy != null) figures.push(["With the whole budget", percent(budget.accuracy, 1), `${count(budget.votes)} more votes`]);
  return html`<dl class="figures">
    ${figures.map(([name, value, note]) => html`<div key=${name}><dt>${name}</dt><dd><strong>${value}</strong> <small>${note}</small></dd></div>`)}
  </dl>`;
}

const isCertified = (seen) => seen.certified >= seen.target_accuracy;

function toGo(name, expected, low, high) {
  if (expected == null) return [name, "Out of reach", "see below"];
  return [name, count(expected), `${count(low ?? expected)} to ${high == null ? "out of reach" : count(high)}`];
}

function Curve({ seen }) {
  return seen.curve.length > 1 && seen.full.votes > 0 ? html`<${Forecast} drawn=${seen} />` : html`<p class="muted small">${seen.says}</p>`;
}
