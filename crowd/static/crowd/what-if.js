// "/projects/{id}/what-if/": what other settings would have made of a project's own votes.

import * as api from "./api.js";
import { ACQUISITIONS, LABEL_MODELS, LEARNERS, ORDERS, asNumber } from "./project-fields.js";
import { Table } from "./table.js";
import { Answer } from "./what-if-answer.js";
import { Busy, Field, Frame, Problem, SignedIn, html, moment, mount, percent, useAction, useLoad, usePoll, useRef, useState } from "./ui.js";

const POLL_MS = 1_000;
const ROWS = 10;

const id = /^\/projects\/(\d+)/.exec(location.pathname)[1];
const path = `/api/projects/${id}`;

/** What can be asked about, by the names of the API. */
const NAMES = {
  redundancy: "Votes per task",
  target_confidence: "Target confidence",
  min_votes: "Votes before a task may stop early",
  order: "Which tasks come first",
  acquisition: "Measure of uncertainty",
  label_model: "Label model",
  newcomer_votes: "Votes until somebody’s own skill counts",
  flag_below: "Ask an expert below this confidence",
  explore_share: "Share of assignments left to chance",
  learner: "Learner",
  auto_label_error: "Share of the machine’s own answers that may be wrong",
};
/** What recorded votes don't tell of. */
const NOT_REPLAYED = ["search", "information_gain"];
const CHOICES = { order: ORDERS, acquisition: ACQUISITIONS, label_model: LABEL_MODELS, learner: LEARNERS };
const REMOTE = "remote"; // what it would have said, nobody knows
const NUMBERS = {
  redundancy: { min: 1, max: 1000, required: true },
  target_confidence: { min: 0.5, max: 0.9999, step: "any", inputmode: "decimal", placeholder: "none" },
  min_votes: { min: 1, max: 1000, required: true },
  newcomer_votes: { min: 0, max: 1000, required: true },
  flag_below: { min: 0.01, max: 0.9999, step: "any", inputmode: "decimal", placeholder: "none" },
  explore_share: { min: 0.001, max: 1, step: "any", inputmode: "decimal", placeholder: "none" },
  auto_label_error: { min: 0.001, max: 0.5, step: "any", inputmode: "decimal", placeholder: "it never answers alone" },
};

function Page() {
  return html`<${SignedIn} title="What if?">${(user) => html`<${Project} user=${user} />`}<//>`;
}

function Project({ user }) {
  const project = useLoad(() => api.get(path), []);
  if (project.error?.status === 404 || (project.value && project.value.role !== "manager")) {
    return html`<${Frame} user=${user} title="Nothing to ask here" narrow><p>You manage no project here. <a href="/">Your projects</a></p><//>`;
  }
  if (!project.value) return html`<${Frame} user=${user}>${project.error ? html`<${Problem} error=${project.error} onRetry=${project.reload} />` : html`<${Busy} />`}<//>`;
  return html`<${Frame} user=${user} title="What if?" aside=${html`<a href="/projects/${id}/">${project.value.name}</a>`}><${Backtests} project=${project.value} /><//>`;
}

function Backtests({ project }) {
  const [chosen, setChosen] = useState(null);
  const list = useLoad(() => api.get(api.withQuery(`${path}/backtests`, { limit: ROWS })), []);
  const asked = (backtest) => {
    setChosen(backtest.id);
    list.reload();
  };
  const rows = list.value?.results;
  const shown = chosen ?? rows?.[0]?.id;
  return html`<section class="panel">
      <h2>Ask</h2>
      <p>
        The votes that this project has are replayed twice: under its present settings, and with those that you change here. You see which
        accuracy would have cost how many of the votes. Nothing of the project changes.
      </p>
      <${Question} project=${project} onAsked=${asked} />
      <${Problem} error=${list.error} onRetry=${list.reload} />
    </section>
    ${shown && html`<${Backtest} key=${shown} number=${shown} project=${project} onFinished=${list.reload} />`}
    ${rows?.length > 1 && html`<${Earlier} rows=${rows} shown=${shown} onShow=${setChosen} />`}`;
}

/** The present settings, to be changed: only what differs from them is asked about. */
function Question({ project, onAsked }) {
  const [edited, setEdited] = useState({});
  const changes = Object.fromEntries(Object.entries(edited).filter(([name, value]) => value !== project[name]));
  const [ask, { busy, error }] = useAction(async () => onAsked(await api.post(`${path}/backtests`, changes)));
  const set = (name, value) => setEdited((before) => ({ ...before, [name]: value }));
  const now = { ...project, ...edited };
  const asked = {
    acquisition: now.order === "priority",
    learner: project.learner && project.learner !== REMOTE,
    auto_label_error: now.learner && now.learner !== REMOTE,
  };
  const fields = Object.keys(NAMES).filter((name) => asked[name] ?? !(name in asked));
  const submit = (event) => {
    event.preventDefault();
    ask();
  };
  return html`<form onSubmit=${submit}>
    <div class="grid">
      ${fields.map((name) => html`<${Field} key=${name} name=${name} label=${NAMES[name]} hint=${name in changes ? `Now: ${inWords(name, project[name])}` : null} error=${error}>
        ${(field) => html`<${Input} field=${field} name=${name} choices=${choices(name, project)} value=${now[name]} onChange=${(value) => set(name, value)} />`}
      <//>`)}
    </div>
    <${Problem} error=${error} fields=${Object.keys(NAMES)} />
    <button type="submit" disabled=${busy || !Object.keys(changes).length} aria-busy=${busy}>Replay the votes</button>
  </form>`;
}

/** What can be chosen: of learners the project's own, or none. */
function choices(name, project) {
  const keys = name === "learner" ? ["", project.learner] : Object.keys(CHOICES[name] ?? {}).filter((key) => !NOT_REPLAYED.includes(key));
  return keys.map((key) => [key, CHOICES[name][key]]);
}

function Input({ field, name, choices, value, onChange }) {
  if (name in NUMBERS) return html`<input ...${field} type="number" inputmode="numeric" ...${NUMBERS[name]} value=${value ?? ""} onInput=${(event) => onChange(asNumber(event.target.value))} />`;
  return html`<select ...${field} onChange=${(event) => onChange(event.target.value || null)}>
    ${choices.map(([key, words]) => html`<option value=${key} selected=${key === (value ?? "")}>${words}</option>`)}
  </select>`;
}

/** One backtest, from the question to the answer. */
function Backtest({ number, project, onFinished }) {
  const last = useRef(null);
  const poll = usePoll(
    async () => {
      if (last.current?.finished_at) return last.current;
      last.current = await api.get(`${path}/backtests/${number}`);
      if (last.current.finished_at) onFinished();
      return last.current;
    },
    POLL_MS,
    [number],
  );
  const { value: backtest, error } = poll;
  if (!backtest) return error ? html`<${Problem} error=${error} />` : html`<${Busy} />`;
  return html`<section class="panel" aria-label="Answer">
    <h2>${Object.entries(backtest.settings).map(([name, value]) => `${NAMES[name]}: ${inWords(name, value)}`).join(" · ")}</h2>
    <div role="status">
      ${backtest.status === "failed" && html`<p class="unsent">This could not be replayed: ${backtest.error}</p>`}
      ${!backtest.finished_at &&
      html`<div class="bar"><progress value=${backtest.progress} max="1" aria-label="Replayed"></progress><strong>${percent(backtest.progress)}</strong></div>
        <p class="muted small">${backtest.status === "waiting" ? "Waiting for its turn." : "Replaying the votes. You may leave this page and come back."}</p>`}
    </div>
    ${backtest.result && html`<${Answer} result=${backtest.result} project=${project} />`}
  </section>`;
}

function Earlier({ rows, shown, onShow }) {
  const said = (settings) => Object.entries(settings).map(([name, value]) => `${NAMES[name]}: ${inWords(name, value)}`).join(", ");
  return html`<section class="panel">
    <h2>Asked before</h2>
    <${Table} label="Asked before" head=${["When", "What if", "State", ""]} classes=${["", "name", "", ""]} list=${{ rows, more: null }}>
      ${(row) => [moment(row.requested_at), said(row.settings), row.status, row.id !== shown && html`<button class="link" onClick=${() => onShow(row.id)}>Show</button>`]}
    <//>
  </section>`;
}

function inWords(name, value) {
  if (value == null) return "none";
  return CHOICES[name]?.[value] ?? value;
}

mount(Page);
