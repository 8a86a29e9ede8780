// A table of rows that grow on request.

import { html } from "./ui.js";

export function Table({ label, head, classes, list, children: cells }) {
  return html`<div class="table" tabindex="0" role="region" aria-label=${label}>
      <table>
        <thead><tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
        <tbody>${list.rows.map((row) => html`<tr key=${row.id}>${cells(row).map((cell, column) => html`<td class=${classes[column]} data-head=${head[column]}><span>${cell}</span></td>`)}</tr>`)}</tbody>
      </table>
    </div>
    ${list.more && html`<button class="link" onClick=${list.more}>Show more</button>`}`;
}
