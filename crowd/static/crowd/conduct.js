// Rules about annotators, what was done about them, and what a manager may do: a section of the project's page.

import * as api from "./api.js";
import { Busy, Field, Problem, html, moment, percent, useAction, usePoll, useState } from "./ui.js";

const POLL_MS = 5_000;
const ROWS = 100;
/** What a rule watches for; its limit stands in the place of "…". */
const CONDITIONS = {
  gold_upper_bound: "Surely worse on known labels than …",
  gold_lower_bound: "Not surely as good on known labels as …",
  speed: "Half of the last answers faster than … s",
  chance: "Not surely above chance by …",
  copying: "Wrong answers shared with somebody at least …",
};
/** All but a median time are judged by what is sure. */
const isJudged = (rule) => rule.condition !== "speed";
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
    <${Act} annotators=${annotators} busy=${busy} onAct=${(member, body, done) => send(() => api.post(`${path}/members/${member}/sanctions`, body).then(done))} />
    <${Record} rows=${sanctions.value.results} busy=${busy} onLift=${(row) => send(() => api.post(`${path}/sanctions/${row.id}/lift`))} />
    <${Rules} rows=${rules.value.results.filter((rule) => !rule.ended_at)} busy=${busy} error=${error}
      onMake=${(rule) => send(() => api.post(`${path}/rules`, rule))} onEnd=${(rule) => send(() => api.remove(`${path}/rules/${rule.id}`))} />
  `;
}

const NOBODY = { member: "", action: "pause", reason: "", hours: "" };

function Act({ annotators, busy, onAct }) {
  const [chosen, setChosen] = useState(NOBODY);
  const set = (name) => (event) => setChosen((before) => ({ ...before, [name]: event.target.value }));
  const submit = (event) => {
    event.preventDefault();
    const { member, action, reason, hours } = chosen;
    onAct(member, { action, reason, pause_hours: hoursOf(action, hours) }, () => setChosen(NOBODY));
  };
  if (!annotators.length) return html`<p class="muted">Nobody to act on yet.</p>`;
  return html`<form class="act" onSubmit=${submit}>
    <select aria-label="Annotator" required onChange=${set("member")}>
      <option value="" selected=${!chosen.member}>Choose somebody</option>
      ${annotators.map((member) => html`<option key=${member.id} value=${member.id} selected=${String(member.id) === chosen.member}>${member.name}${member.standing === "active" ? "" : ` (${member.standing})`}</option>`)}
    </select>
    <select aria-label="Action" onChange=${set("action")}>
      ${Object.entries(ACTIONS).map(([key, label]) => html`<option value=${key} selected=${key === chosen.action}>${label}</option>`)}
    </select>
    ${chosen.action === "pause" &&
    html`<input class="hours" type="number" min="1" max="8760" aria-label="Hours" placeholder="Hours (or until lifted)" value=${chosen.hours} onInput=${set("hours")} />`}
    <input class="reason" aria-label="Reason" placeholder="Reason" required maxlength="1000" value=${chosen.reason} onInput=${set("reason")} />
    <button type="submit" class="secondary" disabled=${busy}>Do it</button>
  </form>`;
}

/** Only a pause has an end. */
const hoursOf = (action, typed) => (action === "pause" && typed !== "" ? Number(typed) : null);

function Record({ rows, busy, onLift }) {
  if (!rows.length) return html`<p class="muted small">Nothing was done about anybody.</p>`;
  return html`<ul class="record">
    ${rows.map(
      (row) => html`<li key=${row.id}>
        <strong dir="auto">${row.name}</strong> · ${DONE[row.action]}${row.until ? ` until ${moment(row.until)}` : ""}${row.lifted ? " (lifted)" : ""}
        ${row.reason && html`: <span dir="auto">${row.reason}</span>`}
        ${" "}<small class="muted">– ${row.by ?? (row.rule ? "by a rule" : "")} ${moment(row.created_at)}</small>
        ${row.action !== "lift" && !row.lifted && html` <button class="link" disabled=${busy} onClick=${() => onLift(row)}>Lift</button>`}
      </li>`,
    )}
  </ul>`;
}

const NEW_RULE = { condition: "gold_upper_bound", limit: 0.7, minimum: 20, confidence: 0.95, action: "pause", hours: "" };

function Rules({ rows, busy, error, onMake, onEnd }) {
  const [rule, setRule] = useState(NEW_RULE);
  const set = (name, read = String) => (event) => setRule((before) => ({ ...before, [name]: read(event.target.value) }));
  const submit = (event) => {
    event.preventDefault();
    const { hours, ...wanted } = rule;
    onMake({ ...wanted, pause_hours: hoursOf(rule.action, hours) });
  };
  const choice = (name, options) => (field) => html`<select ...${field} onChange=${set(name)}>
    ${Object.entries(options).map(([key, label]) => html`<option value=${key} selected=${key === rule[name]}>${label}</option>`)}
  </select>`;
  const number = (name) => (field) => html`<input ...${field} type="number" step="any" min="0" required value=${rule[name]} onInput=${set(name, Number)} />`;
  return html`<h3>Rules</h3>
    <ul class="record">
      ${rows.map(
        (row) => html`<li key=${row.id}>
          ${CONDITIONS[row.condition].replace("…", row.condition === "speed" ? row.limit : percent(row.limit))}${isJudged(row) ? ` (${percent(row.confidence)} sure)` : ""}, from ${row.minimum} answers on: ${ACTIONS[row.action]}${row.pause_hours ? ` for ${row.pause_hours} h` : ""}
          ${" "}<button class="link" disabled=${busy} onClick=${() => onEnd(row)}>End</button>
        </li>`,
      )}
    </ul>
    <details>
      <summary>Add a rule</summary>
      <form onSubmit=${submit}>
        <div class="grid">
          <${Field} name="condition" label="When" error=${error}>${choice("condition", CONDITIONS)}<//>
          <${Field} name="limit" label="Limit" hint="A share from 0 to 1, or seconds." error=${error}>${number("limit")}<//>
        </div>
        <div class="grid">
          <${Field} name="minimum" label="Answers to judge by" error=${error}>${number("minimum")}<//>
          ${isJudged(rule) &&
          html`<${Field} name="confidence" label="How sure" hint="It looks after every refit: the surer, the fewer mistakes." error=${error}>${number("confidence")}<//>`}
          <${Field} name="action" label="Then" error=${error}>${choice("action", ACTIONS)}<//>
          ${rule.action === "pause" &&
          html`<${Field} name="pause_hours" label="For so many hours (optional)" hint="Else until you lift it." error=${error}>
            ${(field) => html`<input ...${field} type="number" min="1" max="8760" value=${rule.hours} onInput=${set("hours")} />`}
          <//>`}
        </div>
        <button type="submit" disabled=${busy}>Add</button>
      </form>
    </details>`;
}
