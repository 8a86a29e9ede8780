// What the machine labels alone, what people confirm, what they label; and on which certificates.

import * as api from "./api.js";
import { Table } from "./table.js";
import { count, html, moment, percent, usePoll } from "./ui.js";

const POLL_MS = 5_000;
const ROWS = 20;

/** What the machine answers alone, what people confirm, what they label; and how far people follow what they are shown. */
export function Tiers({ tiers, confirming }) {
  const points = (number) => number.toLocaleString("en", { maximumFractionDigits: 1 });
  return html`${tiers &&
    html`<dl class="figures" aria-label="Tiers">
        <div><dt>Machine alone</dt><dd><strong>${count(tiers.auto)}</strong> <small>${tiers.certificate ? `above ${percent(tiers.threshold, 1)}` : "no certificate"}</small></dd></div>
        <div><dt>To confirm</dt><dd><strong>${count(tiers.confirm)}</strong> <small>people see its answer</small></dd></div>
        <div><dt>To label</dt><dd><strong>${count(tiers.label)}</strong> <small>from scratch</small></dd></div>
        <div><dt>Audits</dt><dd><strong>${count(tiers.audits)}</strong> <small>${count(tiers.wrong)} found it wrong, ${count(tiers.waiting)} to come</small></dd></div>
        ${tiers.forecast && html`<div><dt>First certificate</dt><dd><${Forecast} ...${tiers.forecast} /></dd></div>`}
      </dl>
      <${Bar} tiers=${tiers} />
      <p class="muted small">${tiers.says}</p>`}
    ${confirming &&
    html`<p class="muted small">
      Shown the machine’s answer, people agree with it in ${count(confirming.shown_agreed)} of ${count(confirming.shown)} votes; without, in ${count(confirming.blind_agreed)} of ${count(confirming.blind)}.
      ${confirming.anchoring !== null && ` Seeing it adds ${points(confirming.anchoring)} points (${confirming.anchoring_interval.map(points).join(" to ")}).`}
    </p>`}`;
}

/** What a first certificate still needs, at the present error rate. */
function Forecast({ audits, error, left }) {
  if (audits === null) {
    return html`<strong>Out of reach</strong> <small>wrong in about ${percent(error, 1)} even where it is surest</small>`;
  }
  return html`<strong>${count(audits)}</strong> <small>more audits, about; ${count(left)} are allowed</small>`;
}

const TIERS = [
  ["auto", "machine alone"],
  ["confirm", "to confirm"],
  ["label", "to label"],
];

/** Which share of the tasks that people have not finished lies in each tier. */
function Bar({ tiers }) {
  const all = TIERS.reduce((sum, [name]) => sum + tiers[name], 0);
  if (!all) return null;
  const parts = TIERS.map(([name, words]) => ({ name, words, share: tiers[name] / all }));
  const starts = parts.map((_, at) => parts.slice(0, at).reduce((sum, part) => sum + part.share, 0));
  const said = parts.map(({ words, share }) => `${percent(share)} ${words}`).join(", ");
  return html`<figure class="tier-shares">
    <svg role="img" aria-label="Of ${count(all)} tasks that people have not finished: ${said}" viewBox="0 0 100 3" preserveAspectRatio="none">
      ${parts.map(({ name, share }, at) => html`<rect key=${name} class=${name} x=${100 * starts[at]} width=${100 * share} height="3" />`)}
    </svg>
    <figcaption aria-hidden="true">
      ${parts.map(({ name, words, share }) => html`<span key=${name}><i class=${name}></i> ${percent(share)} ${words}</span>`)}
    </figcaption>
  </figure>`;
}

/** What the machine was and is certified for; nothing where it never was. */
export function Certificates({ path }) {
  const list = usePoll(() => api.get(api.withQuery(`${path}/certificates`, { limit: ROWS })), POLL_MS, []);
  const rows = list.value?.results;
  if (!rows?.length) return null;
  return html`<h3>Certificates</h3>
    <${Table} label="Certificates" head=${["When", "What", "Why"]} classes=${["", "", "wide"]} list=${{ ...list, rows, more: null }}>
      ${(row) => [moment(row.created_at), inWords(row), row.reason]}
    <//>`;
}

function inWords({ kind, threshold, before_task: before, ended_at: ended }) {
  if (kind === "revoked") return "revoked: its labels were taken back";
  return `certified above ${percent(threshold, 1)}${before === null ? "" : ", of tasks before it became worse"}${ended ? "" : ", in force"}`;
}
