// "/annotate/?project=ID": the annotator's page.

import * as api from "./api.js";
import { ANSWERS } from "./answers.js";
import { TaskData } from "./task-view.js";
import { Busy, Frame, Problem, SignedIn, count, html, money, moment, mount, useEffect, useLoad, useRef, useState } from "./ui.js";
import { Work } from "./work.js";

const MOST_NOTICES = 3;

function Page() {
  const wanted = new URLSearchParams(location.search).get("project");
  return html`<${SignedIn} title="Annotate">
    ${(user) => (/^\d+$/.test(wanted ?? "") ? html`<${OneProject} user=${user} id=${wanted} />` : html`<${Choose} user=${user} />`)}
  <//>`;
}

function Choose({ user }) {
  const projects = useLoad(() => api.all("/api/projects"), []);
  const mine = projects.value?.filter((project) => ["manager", "annotator"].includes(project.role));
  const only = mine?.length === 1 ? `/annotate/?project=${mine[0].id}` : null;
  useEffect(() => {
    if (only) location.replace(only);
  }, [only]);
  return html`<${Frame} user=${user} title="Annotate" narrow>
    <${Problem} error=${projects.error} onRetry=${projects.reload} />
    ${(projects.loading || only) && html`<${Busy} />`}
    ${mine?.length === 0 && html`<p>You are in no project yet. A project's manager can send you a link to join.</p>`}
    ${mine?.length > 1 &&
    html`<p>Which project?</p>
      <ul class="projects">
        ${mine.map((project) => html`<li key=${project.id}><article><h2><a href="/annotate/?project=${project.id}">${project.name}</a></h2></article></li>`)}
      </ul>`}
  <//>`;
}

function OneProject({ user, id }) {
  const project = useLoad(() => api.get(`/api/projects/${id}`), [id]);
  if (project.error?.status === 404) {
    return html`<${Frame} user=${user} title="No such project" narrow>
      <p>There is no project here for ${user.name}. <a href="/annotate/">Your projects</a></p>
    <//>`;
  }
  if (project.error) return html`<${Frame} user=${user} title="Annotate"><${Problem} error=${project.error} onRetry=${project.reload} /><//>`;
  if (!project.value) return html`<${Frame} user=${user}><${Busy} /><//>`;
  return html`<${Annotate} user=${user} project=${project.value} />`;
}

function Annotate({ user, project }) {
  const [, redraw] = useState(0);
  const [notices, setNotices] = useState([]);
  const work = useRef(null);
  work.current ??= new Work({
    user,
    project,
    onChange: () => redraw((turn) => turn + 1),
    onNotice: (text) => setNotices((before) => [...before, { text, key: performance.now() }].slice(-MOST_NOTICES)),
  });
  useEffect(() => work.current.start(), []);
  const { progress, outbox } = work.current;
  const manage = project.role === "manager" && html`<a href="/projects/${project.id}/">Manage</a>`;
  return html`<${Frame} user=${user} title=${project.name} aside=${manage} narrow>
    <p class="mine muted">
      ${progress && html`<span>Today <strong>${count(progress.votes_today)}</strong>${progress.daily_quota ? ` of ${count(progress.daily_quota)}` : ""}</span> <span>in all <strong>${count(progress.votes)}</strong>${progress.total_quota ? ` of ${count(progress.total_quota)}` : ""}</span>
      ${progress.earned !== null && html`<span>earned <strong>${money(progress.earned)} ${progress.currency}</strong></span>`}`}
    </p>
    <${Instructions} project=${project} />
    <div role="status" class="notices">
      ${notices.map(({ text, key }) => html`<p key=${key}>${text}</p>`)}
      ${notices.length > 0 && html`<button class="link" onClick=${() => setNotices([])}>Close</button>`}
    </div>
    ${progress?.standing === "warned" && html`<p class="unsent">You have been asked to take more care here: please read the instructions again, and take your time.</p>`}
    <${Unsent} outbox=${outbox} />
    <${Desk} work=${work.current} />
  <//>`;
}

function Instructions({ project }) {
  const key = `crowd:instructions-closed:${project.id}`;
  if (!project.instructions) return null;
  const remember = (event) => {
    try {
      if (event.target.open) localStorage.removeItem(key);
      else localStorage.setItem(key, "1");
    } catch {
      // Without storage they open again next time.
    }
  };
  return html`<details class="instructions" open=${!stored(key)} onToggle=${remember}>
    <summary>Instructions</summary>
    <p class="text" dir="auto">${project.instructions}</p>
  </details>`;
}

function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Answers that the server has not stored yet, once there is a reason to say so. */
function Unsent({ outbox }) {
  if (!outbox.size || !outbox.problem) return html`<div role="status"></div>`;
  const signedOut = outbox.problem.status === 401;
  const reason = signedOut
    ? "You are signed out, or signed in as somebody else."
    : outbox.problem.code === "project_paused"
      ? "The project is paused; what you answered is sent when it goes on."
      : outbox.problem.message;
  const answers = outbox.size === 1 ? "1 answer is" : `${outbox.size} answers are`;
  return html`<div role="status" class="unsent">
    <p><strong>${answers} safe on this device</strong> and not yet sent. ${reason}</p>
    ${signedOut
      ? html`<a href=${signInPage()}>Sign in</a>`
      : html`<button class="secondary" onClick=${() => outbox.flush()}>Send now</button>`}
  </div>`;
}

const signInPage = () => api.withQuery("/", { next: location.pathname + location.search });

/** The task and its answers, or why there is none. */
function Desk({ work }) {
  const task = work.current;
  const shownAt = useRef(0);
  useEffect(() => {
    shownAt.current = performance.now();
  }, [task?.id]);
  if (work.judged) return html`<${Judged} judged=${work.judged} onNext=${() => work.goOn()} />`;
  const state = stateOf(work);
  if (state) return html`<section class="state" role="status"><h2>${state.title}</h2><p>${state.text}</p>${state.action}</section>`;
  const Answers = ANSWERS[work.project.label_type ?? "choice"];
  if (!Answers) return html`<p>This page cannot show tasks of the type ${work.project.label_type} yet.</p>`;
  const seconds = () => Math.round(performance.now() - shownAt.current) / 1000;
  return html`
    <${Entry} progress=${work.qualification} />
    <article class="task" aria-live="polite" aria-atomic="true" aria-label="Task"><${TaskData} key=${task.id} data=${task.data} /></article>
    <${Answers} task=${task} labels=${work.project.labels}
      onAnswer=${(label) => work.answer(label, seconds())} onSkip=${work.qualification ? null : (reason) => work.skip(reason)} below=${work.qualification ? Nothing : undefined} />
  `;
}

const Nothing = () => null;

const ENTRY = {
  training: ["Training", "After each answer you see what is right."],
  test: ["Test", "Answer as well as you can: what is right is not shown."],
};

/** Where somebody is who has yet to qualify. */
function Entry({ progress }) {
  if (!progress || !ENTRY[progress.stage]) return null;
  const [title, text] = ENTRY[progress.stage];
  return html`<p class="entry"><strong>${title}: ${Math.min(progress.answered + 1, progress.of)} of ${progress.of}</strong> <span class="muted">${text}</span></p>`;
}

/** What was right, in training; Enter goes on, as the button has the focus. */
function Judged({ judged, onNext }) {
  const next = useRef(null);
  const known = judged.label !== undefined;
  useEffect(() => known && next.current.focus(), [known]);
  if (!known) return html`<section class="state" role="status"><p aria-busy="true">Looking at your answer …</p></section>`;
  return html`
    <article class="task"><${TaskData} key=${judged.task.id} data=${judged.task.data} /></article>
    <section class="judged ${judged.right ? "right" : "other"}" role="status">
      <h2>${judged.right ? "That’s right!" : "Not quite"}</h2>
      <p dir="auto">${judged.right ? html`It is <strong>${judged.label}</strong>.` : html`You chose ${judged.given}; it is <strong>${judged.label}</strong>. This is how one learns it.`}</p>
      <button ref=${next} onClick=${onNext}>Next <kbd aria-hidden="true">Enter</kbd></button>
    </section>
  `;
}

function stateOf(work) {
  if (work.gone) return { title: "This project is closed to you", text: "A manager has removed it or your place in it. Thank you for your help." };
  if (work.paused) return { title: "Paused", text: "The manager has paused this project. It goes on here by itself as soon as it is resumed." };
  if (work.current) return null;
  const again =
    work.error?.status === 401
      ? html`<a role="button" href=${signInPage()}>Sign in</a>`
      : html`<button class="secondary" onClick=${() => work.refill()}>Look again</button>`;
  return {
    quota_reached: work.resetsAt
      ? { title: "That is all for today", text: `You have answered as many tasks as one person may in a day. Thank you! There is more for you from ${moment(work.resetsAt)}.` }
      : { title: "You have done your share", text: "You have answered as many tasks as one person may in this project. Thank you!", action: again },
    not_qualified: {
      title: "Not this time",
      text: `You had ${work.qualification?.right} of ${work.qualification?.of} right, and this project asks for more. Thank you for trying! Its manager can let you try again.`,
      action: again,
    },
    annotator_paused: {
      title: "You are paused",
      text: work.progress?.paused_until
        ? `You get no tasks here until ${moment(work.progress.paused_until)}; then it goes on by itself. The project’s manager can tell you why.`
        : "You get no tasks here for now. The project’s manager can tell you why; once they let you go on, it goes on here by itself.",
      action: again,
    },
    annotator_blocked: {
      title: "Your work here has ended",
      text: "You can no longer get or answer tasks in this project. Its manager can tell you why.",
    },
    finished: { title: "All done", text: "There is nothing left for you here. Thank you!", action: again },
    budget_spent: {
      title: "That is all for now",
      text: "There are more tasks, but nothing is left to spend on them. If the manager adds to it, it goes on here by itself. Thank you!",
      action: again,
    },
    target_reached: { title: "That is all for now", text: "The labels of this project are right enough. If its manager wants more, it goes on here by itself. Thank you!", action: again },
    waiting: work.qualification ? { title: "No more tasks to practise on", text: "The project’s manager has to add some: they appear here by themselves.", action: again } : { title: "Others are working on the last tasks", text: "If one becomes free it appears here.", action: again },
    error: { title: "No task right now", text: work.error?.message, action: again },
  }[work.status] ?? { title: "", text: html`<span aria-busy="true">Looking for a task …</span>` };
}

mount(Page);
