// "/projects/{id}/": the manager's page.

import * as api from "./api.js";
import { ConfidenceHistogram } from "./charts.js";
import { Conduct } from "./conduct.js";
import { Learning } from "./learning.js";
import { Outlook } from "./outlook.js";
import { People, Pools } from "./people.js";
import { parseLabels } from "./project-fields.js";
import { RunButtons, RunTable } from "./runs.js";
import { SettingsForm } from "./settings-form.js";
import { Table } from "./table.js";
import { Certificates, Tiers } from "./tiers.js";
import { UploadTasks } from "./upload.js";
import { Webhooks } from "./webhooks.js";
import { Busy, CopyText, Field, Frame, Problem, SignedIn, count, html, moment, money, mount, percent, useAction, useEffect, usePoll, useState } from "./ui.js";

const STATISTICS_MS = 2_500;
const TABLES_MS = 5_000;
const ROWS = 10;

const id = /^\/projects\/(\d+)/.exec(location.pathname)[1];
const path = `/api/projects/${id}`;

function Page() {
  return html`<${SignedIn} title="Project">${(user) => html`<${Project} user=${user} />`}<//>`;
}

function Project({ user }) {
  const project = usePoll(() => api.get(path), TABLES_MS, []);
  const role = project.value?.role;
  useEffect(() => {
    if (role === "annotator") location.replace(`/annotate/?project=${id}`);
    if (role === "reviewer") location.replace(`/projects/${id}/review/`);
  }, [role]);
  if (project.error?.status === 404) {
    return html`<${Frame} user=${user} title="No such project" narrow>
      <p>There is no project here for ${user.name}. <a href="/">Your projects</a></p>
    <//>`;
  }
  if (!project.value) return html`<${Frame} user=${user}>${project.error ? html`<${Problem} error=${project.error} onRetry=${project.reload} />` : html`<${Busy} />`}<//>`;
  if (role === "manager") return html`<${Manage} user=${user} project=${project} />`;
  return html`<${Frame} user=${user} title=${project.value.name} narrow><${Downloads} /><//>`;
}

function Manage({ user, project }) {
  const { value, error } = project;
  const statistics = usePoll(() => api.get(`${path}/statistics`), STATISTICS_MS, []);
  const runs = useRows("runs");
  const annotators = useRows("annotators");
  const members = useRows("members");
  const lost = [error, statistics.error, runs.error, annotators.error, members.error].find(Boolean);
  const refresh = () => [statistics, runs, annotators].forEach((poll) => poll.reload());
  return html`<${Frame} user=${user} title=${value.name} aside=${html`<${PauseButton} project=${value} onChange=${project.set} />`}>
    <div role="status">${lost && html`<p class="unsent">The figures may be old: ${lost.message} This page keeps trying.</p>`}</div>
    <${Progress} project=${value} statistics=${statistics.value} />
    <${Outlook} path=${path} project=${value} />
    <div class="columns">
      <section class="panel">
        <h2>Confidence</h2>
        ${statistics.value && html`<${Confidence} statistics=${statistics.value} />`}
      </section>
      <section class="panel">
        <h2>Learner</h2>
        <${Learning} path=${path} project=${value} runs=${runs.rows} current=${statistics.value?.learner?.run} onRequested=${refresh} />
      </section>
      <section class="panel">
        <h2>Invite people</h2>
        <${Invite} />
      </section>
      <section class="panel">
        <h2>Add tasks</h2>
        <${UploadTasks} project=${id} onDone=${refresh} />
      </section>
    </div>
    <section class="panel">
      <h2>Consensus</h2>
      <${Downloads} />
      <${Certificates} path=${path} />
    </section>
    <section class="panel">
      <details>
        <summary><h2>Webhooks</h2></summary>
        <${Webhooks} path=${path} />
      </details>
    </section>
    <section class="panel">
      <h2>People</h2>
      <${Pools} statistics=${statistics.value} />
      <${People} path=${path} project=${value} list=${members} onChange=${members.reload} />
    </section>
    <section class="panel">
      <h2>Annotators</h2>
      <${AnnotatorTable} list=${annotators} />
    </section>
    <section class="panel">
      <details>
        <summary><h2>Rules and sanctions</h2></summary>
        <${Conduct} path=${path} />
      </details>
    </section>
    <section class="panel">
      <div class="title">
        <h2>Runs</h2>
        <${RunButtons} path=${path} project=${value} onRequested=${refresh} />
      </div>
      <${RunTable} path=${path} list=${runs} />
    </section>
    <section class="panel">
      <details>
        <summary><h2>Settings</h2></summary>
        <${SettingsForm} project=${value} onSaved=${project.set} />
      </details>
    </section>
  <//>`;
}

/** The newest rows of a list, polled; more on request. */
function useRows(name) {
  const [limit, setLimit] = useState(ROWS);
  const poll = usePoll(() => api.get(api.withQuery(`${path}/${name}`, { limit })), TABLES_MS, [limit]);
  const more = poll.value?.next ? () => setLimit((before) => Math.min(1000, 5 * before)) : null;
  return { ...poll, rows: poll.value?.results, more: limit < 1000 ? more : null };
}

// --- Status ---------------------------------------------------------------------------------------------------------

function PauseButton({ project, onChange }) {
  const verb = project.status === "paused" ? "resume" : "pause";
  const [run, { busy, error }] = useAction(async () => onChange(await api.post(`${path}/${verb}`)));
  return html`<div class="status">
    <span class="badge ${project.status}" role="status">${project.status === "active" && project.stopped_at ? "stopped" : project.status}</span>
    <a role="button" class="outline secondary" href="/annotate/?project=${id}">Annotate</a>
    <a role="button" class="outline secondary" href="/projects/${id}/review/">Review</a>
    <a role="button" class="outline secondary" href="/projects/${id}/what-if/">What if?</a>
    <button class=${verb === "pause" ? "secondary" : ""} onClick=${run} aria-busy=${busy} disabled=${busy}>
      ${verb === "pause" ? "Pause" : "Resume"}
    </button>
    <${Problem} error=${error} />
  </div>`;
}

const RETIRED = { redundancy: "all votes in", target: "sure enough", flagged: "flagged as broken or unclear", disputed: "disputed", reviewed: "decided by an expert", auto: "answered by the machine alone" };

function Progress({ project, statistics }) {
  if (!statistics) return html`<${Busy} />`;
  const s = statistics;
  const retired = Object.entries(s.retired ?? {}).map(([reason, number]) => `${count(number)} ${RETIRED[reason] ?? reason}`);
  const figures = [
    ["Tasks", count(s.tasks), `${count(s.open)} open`],
    ["Votes", count(s.votes), `of ${count(s.votes_wanted)} at most`],
    ["Finished", count(s.tasks - s.open), retired.join(", ")],
    ["Annotators", count(s.annotators), `tasks in hand: ${count(s.open_leases)}`],
    ["Mean confidence", percent(s.mean_confidence, 1), s.calibration.state],
    ["Pace", s.votes_per_minute == null ? "–" : s.votes_per_minute.toLocaleString("en", { maximumFractionDigits: 1 }), "votes a minute"],
  ];
  return html`<section class="panel" aria-label="Progress">
    <div class="bar">
      <progress value=${s.progress} max="1" aria-label="Progress"></progress>
      <strong>${percent(s.progress)}</strong>
    </div>
    <dl class="figures">
      ${figures.map(([name, value, note]) => html`<div key=${name}><dt>${name}</dt><dd><strong>${value}</strong> <small>${note}</small></dd></div>`)}
    </dl>
    <${Budget} budget=${s.budget} />
    <${Tiers} tiers=${s.tiers} confirming=${s.confirming} />
    <p class="muted small">
      ${project.labels.length} labels · ${project.redundancy} votes per task${project.target_confidence
        ? ` · a task stops at ${percent(project.target_confidence, 1)} confidence`
        : ""}${s.refit_pending ? " · new votes are being worked in" : ""}
    </p>
  </section>`;
}

/** Where the budget is: what is spent, what open leases may still spend, and what is left. */
function Budget({ budget }) {
  if (!budget) return null;
  const { budget: whole, spent, reserved, available, unit, currency } = budget;
  const show = unit === "votes" ? count : money;
  const ledger = html`<a href="${path}/payments.csv" download>Download the ledger</a>`;
  const title = `${whole == null ? "Paid" : "Budget"} in ${unit === "votes" ? "votes" : currency || "money"}`;
  if (whole == null) return html`<p class="small">${title}: <strong>${show(spent)}</strong>, and ${show(reserved)} reserved by open leases. ${ledger}</p>`;
  const share = Number(whole) ? Number(spent) / Number(whole) : 1;
  return html`<div class="bar">
      <progress value=${share} max="1" aria-label="Budget spent"></progress>
      <strong>${percent(share)}</strong>
    </div>
    <p class="small">
      ${title}: <strong>${show(spent)} of ${show(whole)} spent</strong>, ${show(reserved)} reserved by open leases, ${show(available)} left. ${ledger}
    </p>
    ${isSpent(budget) && html`<p class="unsent">The budget is spent: nobody gets a task. To go on, raise it under Settings.</p>`}`;
}

const isSpent = ({ reserved, available, price_per_vote: price }) => Number(reserved) === 0 && Number(available) < Number(price ?? 1);

function Confidence({ statistics }) {
  const { calibration, notes } = statistics;
  return html`<${ConfidenceHistogram} counts=${statistics.confidence_histogram} />
    <p class="muted small">${calibrationInWords(calibration)}</p>
    ${notes.map((note) => html`<p class="muted small" key=${note}>${note}</p>`)}`;
}

function calibrationInWords({ state, gold, ece, ece_interval: interval }) {
  if (state !== "calibrated") return "Uncalibrated: this is how sure the label model says it is, which may be too sure. Give at least 20 tasks, drawn at random, a known label: confidence is then checked against them and corrected.";
  const [low, high] = interval.map((bound) => percent(bound, 1));
  return `Calibrated on ${count(gold)} known labels: on those held out, confidence is off by ${percent(ece, 1)} on average (${low} to ${high}).`;
}

// --- People ---------------------------------------------------------------------------------------------------------

const ROLES = { annotator: "Annotator: labels tasks", reviewer: "Reviewer: decides disputed tasks", consumer: "Consumer: reads consensus", manager: "Manager: does all of this" };

function Invite() {
  const [role, setRole] = useState("annotator");
  const [invite, setInvite] = useState(null);
  const [tags, setTags] = useState("");
  const [create, { busy, error }] = useAction(async () => setInvite(await api.post(`${path}/invites`, { role, tags: parseLabels(tags) })));
  const submit = (event) => {
    event.preventDefault();
    create();
  };
  return html`<form onSubmit=${submit}>
    <${Field} name="role" label="They join as" error=${error}>
      ${(field) => html`<select ...${field} onChange=${(event) => (setRole(event.target.value), setInvite(null))}>
        ${Object.entries(ROLES).map(([key, label]) => html`<option value=${key} selected=${key === role}>${label}</option>`)}
      </select>`}
    <//>
    <${Field} name="tags" label="With the tags (optional)" hint="Of the pools whose tasks they may have, separated by commas." error=${error}>
      ${(field) => html`<input ...${field} autocomplete="off" value=${tags} onInput=${(event) => (setTags(event.target.value), setInvite(null))} />`}
    <//>
    <button type="submit" aria-busy=${busy} disabled=${busy}>Make an invite link</button>
    <${Problem} error=${error} fields=${["role", "tags"]} />
    <div role="status">
      ${invite &&
      html`<p>Send this link to as many people as you like. It is shown only now, and works until ${moment(invite.expires_at)}.</p>
        <${CopyText} label="Invite link" text=${invite.link} />`}
    </div>
  </form>`;
}

function AnnotatorTable({ list }) {
  if (!list.rows) return html`<${Busy} />`;
  if (!list.rows.length) return html`<p class="muted">Nobody yet. Make an invite link and send it around.</p>`;
  return html`<${Table} label="Annotators" head=${["Name", "Votes", "Skill", "Right on known labels"]} classes=${["name"]} list=${list}>
    ${(person) => [
      person.name,
      count(person.votes),
      percent(person.skill),
      person.gold_votes ? `${percent(person.accuracy_gold)} of ${count(person.gold_votes)}` : "–",
    ]}
  <//>`;
}

// --- Results --------------------------------------------------------------------------------------------------------

function Downloads() {
  return html`<p class="actions">
    <a role="button" class="secondary" href="${path}/consensus.csv" download>Download CSV</a>
    <a role="button" class="secondary" href="${path}/consensus.jsonl" download>Download JSONL</a>
  </p>`;
}

mount(Page);
