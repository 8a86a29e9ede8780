// Answers on their way to the server. An answer leaves the outbox only when the server has stored it or refused it for good:
// a lost connection, a server that restarts, a reload or a closed page lose nothing.

import { get, post } from "./api.js";

const BATCH = 50;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;

/** What an entry is: {project, assignment, label, seconds}, or {project, assignment, skip: reason}. */
export class Outbox {
  /** `onChange()` after every change; `onStored(entry, result)` and `onRefused(entry, error)` once for each entry. */
  constructor(user, { onChange, onStored, onRefused }) {
    this.user = user;
    this.prefix = `crowd:answer:${user}:`;
    this.handlers = { onChange, onStored, onRefused };
    this.entries = this.restore();
    this.problem = null;
    this.kept = true;
    this.delay = FIRST_DELAY_MS;
    this.batch = BATCH;
    this.sending = false;
    addEventListener("online", () => this.flush());
    addEventListener("beforeunload", (event) => {
      if (this.size && !this.kept) event.preventDefault();
    });
  }

  get size() {
    return this.entries.size;
  }

  has(assignment) {
    return this.entries.has(assignment);
  }

  add(entry) {
    this.entries.set(entry.assignment, entry);
    try {
      localStorage.setItem(this.prefix + entry.assignment, JSON.stringify(entry));
    } catch {
      this.kept = false; // Storage is full or forbidden: the entry lives as long as the page, which asks before it closes.
    }
    this.handlers.onChange();
    this.flush();
  }

  /** Sends what is there, and again later what could not be sent. One request at a time keeps the answers in order. */
  async flush() {
    if (this.sending) return;
    this.sending = true;
    clearTimeout(this.timer);
    this.problem = null;
    const failed = new Set();
    for (let entry; (entry = this.next(failed)); ) {
      const problem = entry.skip ? await this.sendSkip(entry) : await this.sendVotes(entry.project);
      if (!problem) continue;
      this.problem = problem;
      if (problem.code === "project_paused" || problem.status === 404) failed.add(entry.project); // others may go on
      else break;
    }
    this.sending = false;
    this.delay = this.problem ? Math.min(2 * this.delay, LONGEST_DELAY_MS) : FIRST_DELAY_MS;
    if (this.problem && this.size) this.timer = setTimeout(() => this.flush(), this.delay);
    this.handlers.onChange();
  }

  next(failed) {
    for (const entry of this.entries.values()) if (!failed.has(entry.project)) return entry;
    return null;
  }

  async sendVotes(project) {
    const votes = [...this.entries.values()].filter((entry) => entry.project === project && !entry.skip).slice(0, this.batch);
    try {
      const { results } = await post(
        `/api/projects/${project}/votes`,
        { votes: votes.map(({ assignment, label, seconds }) => ({ assignment, label, seconds })) },
        { keepalive: true },
      );
      const outcomes = new Map(results.map((result) => [result.assignment, result]));
      for (const vote of votes) this.settle(vote, outcomes.get(vote.assignment)?.error, outcomes.get(vote.assignment));
      return votes.some((vote) => this.entries.has(vote.assignment)) ? { code: "project_paused" } : null;
    } catch (error) {
      return this.judge(error, votes);
    }
  }

  async sendSkip(entry) {
    try {
      await post(`/api/projects/${entry.project}/assignments/${entry.assignment}/skip`, { reason: entry.skip }, { keepalive: true });
      this.settle(entry);
      return null;
    } catch (error) {
      return this.judge(error, [entry]);
    }
  }

  /** A request failed as a whole: which of its entries are refused for good, and what keeps the others waiting? */
  async judge(error, entries) {
    if (!error.code) throw error;
    const blocked = error.code === "annotator_blocked"; // for good: what is held is with others
    if (error.passing || error.status === 401 || (error.status === 403 && !blocked) || error.code === "project_paused") return error;
    if (error.status === 404 && !(await this.isSignedIn())) return { code: "not_authenticated", status: 401 };
    const blamed = new Map();
    for (const entry of error.errors) {
      const index = /^votes\.(\d+)/.exec(entry.field)?.[1];
      if (index !== undefined) blamed.set(entries[index], entry);
    }
    if (blamed.size) {
      for (const [entry, reason] of blamed) if (entry) this.settle(entry, reason);
      return null;
    }
    if (entries.length > 1) {
      this.batch = 1; // One of them is at fault: find it.
      return null;
    }
    if (error.status === 404 && error.code !== "unknown_assignment") return error; // The project is out of this person's reach.
    this.settle(entries[0], error);
    return null;
  }

  /** Another tab may have signed in somebody else, to whom these assignments are unknown. */
  async isSignedIn() {
    try {
      return (await get("/api/session")).user?.id === this.user;
    } catch {
      return false;
    }
  }

  settle(entry, error, result) {
    if (error?.code === "project_paused") return;
    this.drop(entry.assignment);
    if (error) this.handlers.onRefused(entry, error);
    else this.handlers.onStored(entry, result);
    this.handlers.onChange();
  }

  drop(assignment) {
    this.entries.delete(assignment);
    try {
      localStorage.removeItem(this.prefix + assignment);
    } catch {
      // It was never stored there.
    }
  }

  /** One storage key for each answer, so that two tabs never overwrite each other's. */
  restore() {
    const entries = new Map();
    try {
      for (const key of Object.keys(localStorage).filter((name) => name.startsWith(this.prefix))) {
        const entry = JSON.parse(localStorage.getItem(key));
        entries.set(entry.assignment, entry);
      }
    } catch {
      // No storage: nothing to restore.
    }
    return entries;
  }
}
