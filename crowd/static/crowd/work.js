// One person's work in one project: a short queue of leased tasks, kept filled so that nobody waits between two tasks.

import { get, post, serverNow } from "./api.js";
import { Outbox } from "./outbox.js";

const KEEP = 3;
const TICK_MS = 1_000;
const PROJECT_POLL_MS = 3_000;
const SPARE_MS = 1_500; // A lease this close to its end is given up: the task may be somebody else's when the answer comes.
const PROGRESS_MS = 60_000; // a new day, a warning, what another device has done
const PAUSE_MS = {
  ok: 500,
  retry: 200,
  waiting: 3_000,
  finished: 15_000,
  budget_spent: 15_000,
  target_reached: 15_000,
  quota_reached: 60_000,
  not_qualified: 15_000,
  annotator_paused: 15_000,
  annotator_blocked: 60_000,
  error: 3_000,
};
/** Refusals that are a state of this person, not a mistake: the page says so in its own words. */
const KEPT_OUT = ["annotator_paused", "annotator_blocked"];

export const REFUSALS = {
  vote_conflict: "You had already answered that task, perhaps in another tab. The first answer stays.",
  late_vote_no_room: "The time for that task ran out and others have answered it since, so your answer was not counted.",
  late_vote_no_budget: "The time for that task ran out and the project's budget has gone to others since, so your answer was not counted.",
  late_vote_no_quota: "The time for that task ran out and you have answered as many as you may since, so your answer was not counted.",
  assignment_closed: "That task was no longer yours, so the answer was not counted.",
  unknown_assignment: "That task was no longer yours, so the answer was not counted.",
  annotator_blocked: "You can no longer work in this project, so that answer was not counted.",
  unknown_label: "The labels of this project have changed. That answer was not counted.",
};

export class Work {
  /** `onChange()` whenever something to be shown has changed; `onNotice(text)` for what a person should be told. */
  constructor({ user, project, onChange, onNotice }) {
    this.project = project;
    this.path = `/api/projects/${project.id}`;
    this.onChange = onChange;
    this.onNotice = onNotice;
    this.tasks = []; // leased and not yet answered; the first is on the screen
    this.seen = new Set(); // assignments that were in the queue
    this.status = "loading"; // of the last request for tasks: ok, retry, waiting, finished, annotator_paused, …; or loading, error
    this.paused = project.status === "paused";
    this.gone = false;
    this.error = null;
    this.progress = null;
    this.resetsAt = null; // with the status quota_reached: when there is more
    this.qualification = null; // {stage, answered, of} while this person has yet to qualify
    this.judged = null; // in training: {task, given}, and {right, label} once the server has said so
    this.outbox = new Outbox(user.id, {
      onChange: () => this.onChange(),
      onStored: (entry, result) => this.stored(entry, result),
      onRefused: (entry, error) => this.refused(entry, error),
    });
  }

  start() {
    this.outbox.flush().then(() => this.loadProgress());
    this.refill();
    const tick = setInterval(() => this.dropExpired(), TICK_MS);
    const poll = setInterval(() => document.hidden || this.watchProject(), PROJECT_POLL_MS);
    const figures = setInterval(() => document.hidden || this.loadProgress(), PROGRESS_MS);
    const onVisible = () => document.hidden || (this.watchProject(), this.refill());
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      clearInterval(tick);
      clearInterval(poll);
      clearInterval(figures);
      clearTimeout(this.timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }

  get current() {
    return this.tasks[0] ?? null;
  }

  answer(label, seconds) {
    this.leave({ label, seconds });
  }

  /** `reason`: "unclear" or "broken" say something of the task, nothing says that somebody else may do it. */
  skip(reason = "not_for_me") {
    this.leave({ skip: reason });
  }

  leave(answer) {
    const task = this.tasks.shift();
    if (!task) return;
    if (this.qualification) this.qualification.answered += 1;
    if (this.qualification?.stage === "training" && !answer.skip) this.judged = { task, given: answer.label };
    if (!this.tasks.length) this.status = "loading";
    this.outbox.add({ project: this.project.id, assignment: task.id, ...answer });
    this.refill();
  }

  /** What was right has been read. */
  goOn() {
    this.judged = null;
    this.refill();
    this.onChange();
  }

  /** Asks for as many tasks as are missing. Leases still held come first in the answer, also those whose vote is on its way. */
  async refill() {
    clearTimeout(this.timer);
    if (this.refilling || this.paused || this.gone || this.tasks.length >= KEEP) return;
    if (document.hidden && this.status !== "loading") return; // Nobody is looking: lease nothing.
    this.refilling = true;
    try {
      const wanted = Math.min(100, KEEP + this.outbox.size);
      const unsent = this.outbox.size;
      const { assignments, status, resets_at, qualification } = await post(`${this.path}/assignments`, { count: wanted });
      const fresh = assignments.filter(({ id }) => !this.seen.has(id) && !this.outbox.has(id));
      for (const task of fresh) this.seen.add(task.id);
      this.tasks.push(...fresh);
      this.status = status;
      this.resetsAt = resets_at ?? null;
      this.qualify(qualification ?? null, unsent);
      this.error = null;
    } catch (error) {
      this.fail(error);
    }
    this.refilling = false;
    if (!this.tasks.length) this.timer = setTimeout(() => this.refill(), PAUSE_MS[this.status] ?? PAUSE_MS.error);
    this.onChange();
  }

  /** How far this person has come. `unsent`: answers that the server did not know of. */
  qualify(progress, unsent) {
    const before = this.qualification?.stage;
    const after = progress?.stage;
    if (before && !progress) this.onNotice("You are in. Thank you! These are the tasks themselves.");
    if (before === "training" && after === "test") this.onNotice("That was the training. The test begins.");
    const known = before === after && unsent ? this.qualification.answered : progress?.answered;
    this.qualification = progress && { ...progress, answered: known };
  }

  fail(error) {
    if (error.code === "project_paused") this.paused = true;
    else if (error.status === 404) this.gone = true;
    else if (KEPT_OUT.includes(error.code)) this.keepOut(error.code);
    else {
      this.status = "error";
      this.error = error;
    }
  }

  /** A rule or a manager has paused or blocked this person. Who is paused may still answer what they hold. */
  keepOut(code) {
    if (this.status !== code) this.loadProgress(); // which says until when
    if (code === "annotator_blocked") this.tasks = []; // they are with others
    this.status = code;
  }

  /** Sees that a manager has paused or resumed the project. */
  async watchProject() {
    if (!this.progress) this.loadProgress();
    try {
      const { status } = await get(this.path);
      if ((status === "paused") === this.paused) return;
      this.paused = status === "paused";
      if (!this.paused) this.resume();
      this.onChange();
    } catch (error) {
      if (error.status === 404) this.fail(error);
      this.onChange();
    }
  }

  resume() {
    this.forget(this.tasks); // Their leases may have ended; those that have not are handed out again.
    this.status = "loading";
    this.outbox.flush();
    this.refill();
  }

  dropExpired() {
    if (this.paused) return;
    const late = this.tasks.filter((task) => Date.parse(task.expires_at) - serverNow() < SPARE_MS);
    if (!late.length) return;
    if (late.includes(this.current)) this.onNotice("The time for that task ran out. Here is another one.");
    this.forget(late);
    this.refill();
    this.onChange();
  }

  forget(tasks) {
    for (const task of tasks) this.seen.delete(task.id);
    this.tasks = this.tasks.filter((task) => !tasks.includes(task));
    if (!this.tasks.length) this.status = "loading";
  }

  async loadProgress() {
    const sending = this.outbox.size > 0;
    try {
      const progress = await get(`${this.path}/me`);
      const { standing, paused_until } = progress;
      // Answers on their way may be among these figures and be counted here again when they are acknowledged.
      const counted = this.progress && (sending || this.outbox.size > 0);
      this.progress = counted ? { ...this.progress, standing, paused_until } : progress;
      this.onChange();
    } catch {
      // The figures come with the next page; the work does not need them.
    }
  }

  refused(entry, error) {
    if (this.judged?.task.id === entry.assignment) this.goOn();
    if (KEPT_OUT.includes(error.code)) this.keepOut(error.code);
    if (!entry.skip) this.onNotice(REFUSALS[error.code] ?? error.detail ?? error.message);
  }

  stored(entry, result) {
    if (this.judged?.task.id === entry.assignment) this.judge(result?.feedback);
    if (entry.project !== this.project.id || !this.progress || result?.status === "qualification") return;
    if (entry.skip) this.progress.skipped += 1;
    else {
      this.progress.votes += 1;
      this.progress.votes_today += 1;
      // At the present price; a task leased at another one is set right with the next page.
      const { earned, price_per_vote: price } = this.progress;
      if (earned !== null) this.progress.earned = (Number(earned) + Number(price)).toFixed(4);
    }
  }

  judge(feedback) {
    if (feedback) this.judged = { ...this.judged, ...feedback };
    else this.goOn();
  }
}
