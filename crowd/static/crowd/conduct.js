// Rules about annotators, what was done about them, and what a manager may do: a section of the project's page.

import * as api from "./api.js";
import { Busy, Field, Problem, html, moment, percent, useAction, usePoll, useState } from "./ui.js";

const POLL_MS = 5_000;
const ROWS = 100;
const CONDITIONS = {
  gold_upper_bound: "Surely worse on known labels than",
  gold_lower_bound: "Not surely as good on known labels as",
  speed: "Half of the last answers faster than (seconds)",
  chance: "Not surely above chance by",
  copying: "Wrong answers shared with somebody at least",
};
const ACTIONS = { warn: "warn", pause: "pause", block: "block", discard: "block and discard votes" };
const DONE = { warn: "Warned", pause: "Paused", block: "Blocked", discard: "Votes discarded", lift: "Lifted" };

export function Conduct({ path }) {
  const load = (name) => usePoll(() => api.get(api.withQuery(`${path}/${name}`, { limit: ROWS })), POLL_MS, []);
  const [members, sanctions, rules] = [load("members"), load("sanctions"), load("rules")];
  const reload = () => [members, sanctions, rules].forEach((poll) => poll.reload());
  const [send, { busy, error }] = useAction(async (request) => {
    await request();
    reload();
  });
  if (!members.value || !sanctions.value || !rules.value) return html`<${Busy} />`;
  const annotators = members.value.results.filter((member) => member.role === "annotator");
  return html`
    <${Problem} error=${error} />
    <${Act} annotators=${annotators} busy=${busy} onAct=${(member, body) => send(() => api.post(`${path}/members/${member}/sanctions`, body))} />
    <${Record} rows=${sanctions.value.results} busy=${busy} onLift=${(row) => send(() => api.post(`${path}/sanctions/${row.id}/lift`))} />
    <${Rules} rows=${rules.value.results.filter((rule) => !rule.ended_at)} busy=${busy} error=${error}
      onMake=${(rule) => send(() => api.post(`${path}/rules`, rule))} onEnd=${(rule) => send(() => api.remove(`${path}/rules/${rule.id}`))} />
  `;
}

function Act({ annotators, busy, onAct }) {
  const [chosen, setChosen] = useState({ member: "", action: "pause", reason: "" });
  const set = (name) => (event) => setChosen((before) => ({ ...before, [name]: event.target.value }));
  const submit = (event) => {
    event.preventDefault();
    onAct(chosen.member, { action: chosen.action, reason: chosen.reason });
  };
  if (!annotators.length) return html`<p class="muted">Nobody to act on yet.</p>`;
  return html`<form class="act" onSubmit=${submit}>
    <select aria-label="Annotator" required onChange=${set("member")}>
      <option value="">Choose somebody</option>
      ${annotators.map((member) => html`<option key=${member.id} value=${member.id}>${member.name}${member.standing === "active" ? "" : ` (${member.standing})`}</option>`)}
    </select>
    <select aria-label="Action" onChange=${set("action")}>
      ${Object.entries(ACTIONS).map(([key, label]) => html`<option value=${key} selected=${key === chosen.action}>${label}</option>`)}
    </select>
    <input aria-label="Reason" placeholder="Reason" required maxlength="1000" value=${chosen.reason} onInput=${set("reason")} />
    <button type="submit" class="secondary" disabled=${busy}>Do it</button>
  </form>`;
}

function Record({ rows, busy, onLift }) {
  if (!rows.length) return html`<p class="muted small">Nothing was done about anybody.</p>`;
  return html`<ul class="record">
    ${rows.map(
      (row) => html`<li key=${row.id}>
        <strong dir="auto">${row.name}</strong> · ${DONE[row.action]}${row.until ? ` until ${moment(row.until)}` : ""}${row.lifted ? " (lifted)" : ""} ·
        ${" "}<small class="muted">${row.by ?? (row.rule ? "by a rule" : "")} ${moment(row.created_at)}</small> <span dir="auto">${row.reason}</span>
        ${row.action !== "lift" && !row.lifted && html` <button class="link" disabled=${busy} onClick=${() => onLift(row)}>Lift</button>`}
      </li>`,
    )}
  </ul>`;
}

const NEW_RULE = { condition: "gold_upper_bound", limit: 0.7, minimum: 20, action: "pause" };

function Rules({ rows, busy, error, onMake, onEnd }) {
  const [rule, setRule] = useState(NEW_RULE);
  const set = (name, read = String) => (event) => setRule((before) => ({ ...before, [name]: read(event.target.value) }));
  const submit = (event) => {
    event.preventDefault();
    onMake(rule);
  };
  const choice = (name, options) => (field) => html`<select ...${field} onChange=${set(name)}>
    ${Object.entries(options).map(([key, label]) => html`<option value=${key} selected=${key === rule[name]}>${label}</option>`)}
  </select>`;
  const number = (name) => (field) => html`<input ...${field} type="number" step="any" min="0" required value=${rule[name]} onInput=${set(name, Number)} />`;
  return html`<h3>Rules</h3>
    <ul class="record">
      ${rows.map(
        (row) => html`<li key=${row.id}>
          ${CONDITIONS[row.condition]} ${row.condition === "speed" ? row.limit : percent(row.limit)}, from ${row.minimum} answers on: ${ACTIONS[row.action]}
          ${" "}<button class="link" disabled=${busy} onClick=${() => onEnd(row)}>End</button>
        </li>`,
      )}
    </ul>
    <details>
      <summary>Add a rule</summary>
      <form onSubmit=${submit}>
        <div class="grid">
          <${Field} name="condition" label="When an annotator is" error=${error}>${choice("condition", CONDITIONS)}<//>
          <${Field} name="limit" label="Limit" hint="A share from 0 to 1, or seconds." error=${error}>${number("limit")}<//>
        </div>
        <div class="grid">
          <${Field} name="minimum" label="Answers to judge by" error=${error}>${number("minimum")}<//>
          <${Field} name="action" label="Then" error=${error}>${choice("action", ACTIONS)}<//>
        </div>
        <button type="submit" disabled=${busy}>Add</button>
      </form>
    </details>`;
}
