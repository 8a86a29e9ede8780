// "/projects/{id}/review/": an expert decides what the votes could not.

import * as api from "./api.js";
import { ANSWERS, useKeys } from "./answers.js";
import { TaskData } from "./task-view.js";
import { Busy, Frame, Problem, SignedIn, count, html, mount, percent, useAction, useEffect, useLoad, useState } from "./ui.js";

const PAGE = 20;
const MORE_VOTES = 2;
const LOOK_AGAIN_MS = 10_000;
const MOST_BARS = 8;

const id = /^\/projects\/(\d+)/.exec(location.pathname)[1];
const path = `/api/projects/${id}`;

function Page() {
  return html`<${SignedIn} title="Review">${(user) => html`<${Project} user=${user} />`}<//>`;
}

function Project({ user }) {
  const project = useLoad(() => api.get(path), []);
  const may = ["manager", "reviewer"].includes(project.value?.role);
  if (project.error?.status === 404 || (project.value && !may)) {
    return html`<${Frame} user=${user} title="Nothing to review" narrow><p>You review no project here. <a href="/">Your projects</a></p><//>`;
  }
  if (!project.value) return html`<${Frame} user=${user}>${project.error ? html`<${Problem} error=${project.error} onRetry=${project.reload} />` : html`<${Busy} />`}<//>`;
  const manage = project.value.role === "manager" && html`<a href="/projects/${id}/">Manage</a>`;
  return html`<${Frame} user=${user} title=${project.value.name} aside=${manage} narrow><${Desk} project=${project.value} /><//>`;
}

/** The queue: the first task is on the desk, "later" puts it last. */
function Desk({ project }) {
  const [tasks, setTasks] = useState(null);
  const [decided, setDecided] = useState(null); // the last decision, which can be undone
  const queue = useLoad(() => api.get(api.withQuery(`${path}/reviews`, { limit: PAGE })), []);
  const page = queue.value;
  useEffect(() => page && setTasks(page.results), [page]);
  const empty = tasks?.length === 0;
  useEffect(() => {
    if (!empty) return undefined;
    const timer = setTimeout(queue.reload, page?.next ? 0 : LOOK_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [empty, page]);

  const [send, { busy, error }] = useAction(async (task, decision) => {
    const after = task.reviews[0]?.number ?? 0;
    try {
      const stored = await api.post(`${path}/reviews/${task.task}`, { ...decision, after });
      setDecided(decision.action === "undo" ? null : stored);
      setTasks((before) => [...(decision.action === "undo" ? [stored] : []), ...before.filter((other) => other.task !== task.task)]);
    } catch (problem) {
      if (problem.status !== 409) throw problem;
      const now = await api.get(`${path}/reviews/${task.task}`);
      setDecided(null);
      setTasks((before) => before.map((other) => (other.task === task.task ? now : other)));
      throw problem;
    }
  });
  const undo = decided && (() => send(decided, { action: "undo" }));
  useKeys((key) => key === "u" && undo);
  if (!tasks) return html`<${Problem} error=${queue.error} onRetry=${queue.reload} />${!queue.error && html`<${Busy} />`}`;
  const later = () => setTasks(([first, ...others]) => [...others, first]);
  return html`
    <${Decided} task=${decided} onUndo=${undo} busy=${busy} />
    <${Problem} error=${error} />
    ${empty
      ? html`<section class="state" role="status"><h2>Nothing to review</h2><p>Tasks that people dispute or flag, and those drawn for audits, appear here by themselves.</p></section>`
      : html`<${OneTask} key=${tasks[0].task} task=${tasks[0]} project=${project} busy=${busy}
          onDecide=${(decision) => send(tasks[0], decision)} onLater=${later} />`}
  `;
}

function Decided({ task, onUndo, busy }) {
  if (!task) return html`<div role="status" class="notices"></div>`;
  const [last] = task.reviews;
  const said = last.action === "reopen" ? `${count(last.votes)} more votes asked for.` : html`Decided: <strong dir="auto">${last.label}</strong>.`;
  return html`<div role="status" class="notices">
    <p>${said} <button class="link" disabled=${busy} onClick=${onUndo}>Undo</button> <kbd aria-hidden="true">U</kbd></p>
  </div>`;
}

const WHY = {
  audit: "Drawn at random, to prove how right the labels are: answer by yourself, without what people have said.",
  disputed: "All votes are in, and they leave it unsure.",
  flagged: "People have skipped it as broken or unclear.",
  reviewed: "An expert has decided it.",
};

function OneTask({ task, project, busy, onDecide, onLater }) {
  const isAudit = task.reason === "audit" && !task.reviews.length;
  const reopen = () => onDecide({ action: "reopen", votes: MORE_VOTES });
  useKeys((key) => key === "m" && !busy && reopen);
  const Answers = ANSWERS[project.label_type ?? "choice"];
  const below = ({ hint, onSkip }) => html`<p class="skip">
    <button class="outline secondary" onClick=${() => onSkip()}>Later <kbd aria-hidden="true">${hint}</kbd></button>
    <button class="outline secondary" disabled=${busy} onClick=${reopen}>Ask ${MORE_VOTES} more people <kbd aria-hidden="true">M</kbd></button>
  </p>`;
  return html`
    <p class="muted">${WHY[isAudit ? task.reason : task.retired] ?? "It is collecting votes."} ${task.key && html`<small>Key: <span dir="auto">${task.key}</span></small>`}</p>
    <article class="task" aria-live="polite" aria-atomic="true" aria-label="Task"><${TaskData} data=${task.data} /></article>
    ${!isAudit && html`<${Votes} task=${task} labels=${project.labels} />`}
    <${Answers} task=${{ id: task.task }} labels=${project.labels} below=${below} onSkip=${onLater}
      onAnswer=${(label) => !busy && onDecide({ label })} />
    <${History} task=${task} />
  `;
}

/** A bar of votes for each label that somebody chose or that is probable, with who chose it. */
function Votes({ task, labels }) {
  const counted = task.votes.filter((vote) => vote.status === "counted");
  const rows = labels
    .map((label) => ({ label, votes: counted.filter((vote) => vote.label === label), p: task.posterior?.[label] ?? null }))
    .filter((row) => row.votes.length || row.p >= 0.005 || labels.length <= MOST_BARS)
    .sort((left, right) => right.votes.length - left.votes.length || right.p - left.p)
    .slice(0, MOST_BARS);
  return html`<section class="votes" aria-label="Votes">
    ${rows.map(
      ({ label, votes, p }) => html`<div key=${label} class="vote-row">
        <span dir="auto">${label}</span>
        <meter min="0" max=${Math.max(1, counted.length)} value=${votes.length} aria-label="${votes.length} of ${counted.length} votes"></meter>
        <strong>${votes.length}</strong> <span class="muted">${percent(p)}</span>
        ${votes.length > 0 && html`<small class="muted" dir="auto">${votes.map(nameOf).join(", ")}</small>`}
      </div>`,
    )}
    ${task.skips.map(
      (skip) => html`<p class="small" key=${skip.annotator}><strong dir="auto">${skip.name}</strong> skipped it: ${SKIPPED[skip.reason] ?? skip.reason}${skip.comment &&
      html` – <q dir="auto">${skip.comment}</q>`}</p>`,
    )}
  </section>`;
}

const SKIPPED = { unclear: "unclear", broken: "broken", not_for_me: "not for them" };

const nameOf = (vote) => (vote.seconds == null ? vote.name : `${vote.name} (${vote.seconds.toFixed(1)} s)`);

function History({ task }) {
  if (!task.reviews.length) return null;
  const words = { label: (review) => `chose ${review.label}`, reopen: (review) => `asked for ${review.votes} more votes`, undo: () => "took that back" };
  return html`<section aria-label="Reviews"><ul class="small muted">
    ${task.reviews.map((review) => html`<li key=${review.number}>${review.reviewer} ${words[review.action](review)}${review.comment && `: ${review.comment}`}</li>`)}
  </ul></section>`;
}

mount(Page);
