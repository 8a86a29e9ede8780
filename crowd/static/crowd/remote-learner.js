// Where a project's remote learner is, how it does, and the form that says so.

import * as api from "./api.js";
import { Busy, Field, Problem, count, html, moment, useAction, usePoll, useState } from "./ui.js";

const POLL_MS = 5_000;

export function RemoteLearner({ path, onRequested }) {
  const poll = usePoll(() => api.get(`${path}/remote-learner`), POLL_MS, []);
  const stored = poll.value;
  if (!stored) return html`<${Busy} />`;
  return html`<h3>The backend</h3>
    <${Health} stored=${stored} />
    ${stored.url !== null && html`<${TryNow} path=${path} stored=${stored} onRequested=${onRequested} onSaved=${poll.set} />`}
    <details open=${stored.url === null}>
      <summary>Its address</summary>
      <${Address} path=${path} stored=${stored} onSaved=${poll.set} />
    </details>`;
}

/** What a manager has to know: whether it answers, and if not, why and until when it is left alone. */
function Health({ stored }) {
  if (stored.url === null) return html`<p class="unsent">It has no address yet: nothing is learnt before you give one.</p>`;
  if (stored.failures > 0) {
    const resting = stored.rests_until && new Date(stored.rests_until).getTime() > api.serverNow();
    return html`<p class="unsent" role="status">
      It failed ${stored.failures === 1 ? "once" : `${count(stored.failures)} times in a row`}${resting ? ` and is left alone until ${moment(stored.rests_until)}` : ""}: ${stored.last_error}
    </p>`;
  }
  return html`<p class="small" role="status">${stored.url}: ${stored.answered_at ? `it did as it was asked on ${moment(stored.answered_at)}.` : "not asked yet."}</p>`;
}

function Address({ path, stored, onSaved }) {
  const [changes, setChanges] = useState({});
  const value = { url: stored.url ?? "", username: stored.username, password: "", ...changes };
  const set = (name) => (event) => setChanges((before) => ({ ...before, [name]: event.target.value }));
  const [save, { busy, error }] = useAction(async () => {
    const { password, ...named } = value;
    onSaved(await api.put(`${path}/remote-learner`, "password" in changes ? { ...named, password } : named));
    setChanges({});
  });
  const submit = (event) => {
    event.preventDefault();
    save();
  };
  const kept = stored.has_password && value.url === stored.url;
  return html`<form onSubmit=${submit}>
    <${Field} name="url" label="Address" hint="Of a Label Studio ML backend that this server can reach." error=${error}>
      ${(field) => html`<input ...${field} type="url" required maxlength="500" autocomplete="off" placeholder="https://ml.example.org" value=${value.url} onInput=${set("url")} />`}
    <//>
    <${Field} name="username" label="Name (optional)" hint="If it asks for a name and a password." error=${error}>
      ${(field) => html`<input ...${field} maxlength="200" autocomplete="off" value=${value.username} onInput=${set("username")} />`}
    <//>
    <${Field} name="password" label="Password (optional)" hint=${kept ? "One is stored, and stays unless you type another." : "Stored, and never shown again."} error=${error}>
      ${(field) => html`<input ...${field} type="password" maxlength="500" autocomplete="new-password" value=${value.password} onInput=${set("password")} />`}
    <//>
    <button type="submit" class="secondary" aria-busy=${busy} disabled=${busy}>Save the address</button>
    <${Problem} error=${error} fields=${["url", "username", "password"]} />
  </form>`;
}

/** Saving the same address again ends a rest; then it is taught and asked. */
function TryNow({ path, stored, onRequested, onSaved }) {
  const [asked, setAsked] = useState(false);
  const [run, { busy, error }] = useAction(async () => {
    if (stored.rests_until) onSaved(await api.put(`${path}/remote-learner`, { url: stored.url, username: stored.username }));
    await api.post(`${path}/retrain`);
    setAsked(true);
    onRequested();
  });
  return html`<p class="actions">
      <button class="outline" onClick=${run} aria-busy=${busy} disabled=${busy}>Teach and ask it now</button>
      <small role="status">${asked && "Requested: see Runs."}</small>
    </p>
    <${Problem} error=${error} />`;
}
