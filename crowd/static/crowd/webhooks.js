// Webhooks: where labels are sent as they change, and how that goes.

import * as api from "./api.js";
import { Busy, CopyText, Problem, count, html, moment, useAction, usePoll, useState } from "./ui.js";

const POLL_MS = 5_000;
const MOST_COUNTED = 1000;

export function Webhooks({ path }) {
  const list = usePoll(() => api.get(`${path}/webhooks`), POLL_MS, []);
  const [shown, setShown] = useState(null); // with its secret, until something else is done
  const [send, { busy, error }] = useAction(async (request, done) => {
    const answer = await request();
    setShown(answer?.secret ? answer : null);
    done?.();
    list.reload();
  });
  const rows = list.value?.results;
  if (!rows) return html`<${Busy} />`;
  return html`
    <p class="muted small">Labels are posted to these addresses as they change or are revoked: in order, at least once, and signed.</p>
    <${Problem} error=${error} />
    <${Register} busy=${busy} onRegister=${(body, done) => send(() => api.post(`${path}/webhooks`, body), done)} />
    <div role="status">
      ${shown &&
      html`<p>The secret that messages to ${shown.url} are signed by. It is shown only now.</p>
        <${CopyText} label="Secret" text=${shown.secret} />`}
    </div>
    ${rows.length === 0 && html`<p class="muted small">No webhook yet.</p>`}
    <ul class="record">
      ${rows.map((row) => html`<${Webhook} key=${row.id} row=${row} busy=${busy} path="${path}/webhooks/${row.id}" send=${send} />`)}
    </ul>`;
}

function Register({ busy, onRegister }) {
  const [url, setUrl] = useState("");
  const [start, setStart] = useState("beginning");
  const submit = (event) => {
    event.preventDefault();
    onRegister({ url, start }, () => setUrl(""));
  };
  return html`<form class="act" onSubmit=${submit}>
    <input class="reason" type="url" aria-label="Address of the webhook" placeholder="https://erp.example.org/crowd" required maxlength="500" value=${url} onInput=${(event) => setUrl(event.target.value)} />
    <select aria-label="Begin with" onChange=${(event) => setStart(event.target.value)}>
      <option value="beginning" selected=${start === "beginning"}>All labels there are</option>
      <option value="now" selected=${start === "now"}>What changes from now on</option>
    </select>
    <button type="submit" class="secondary" disabled=${busy}>Add the webhook</button>
  </form>`;
}

function Webhook({ row, busy, path, send }) {
  const button = (label, request) => html` <button class="link" disabled=${busy} onClick=${() => send(request)}>${label}</button>`;
  return html`<li>
    <strong class="address">${row.url}</strong> <span class="badge ${row.active ? "active" : "blocked"}">${row.active ? "on" : "off"}</span>
    <br />${inWords(row)}<br />
    ${button(row.active ? "Switch off" : "Switch on", () => api.patch(path, { active: !row.active }))}
    ${button("New secret", () => api.post(`${path}/secret`))} ${button("Remove", () => api.remove(path))}
  </li>`;
}

function inWords(row) {
  const waiting = row.waiting && `${row.waiting >= MOST_COUNTED ? "1,000 or more" : count(row.waiting)} to send`;
  const failing = row.failures > 0 && `failed ${row.failures === 1 ? "once" : `${count(row.failures)} times in a row`}: ${row.last_error}`;
  const next = row.active && row.failures > 0 && `again at ${moment(row.next_attempt_at)}`;
  const last = row.delivered_at ? `last received ${moment(row.delivered_at)}` : "nothing received yet";
  return [row.stopped || failing, next, last, waiting || (row.delivered_at && "up to date")].filter(Boolean).join(" · ");
}
