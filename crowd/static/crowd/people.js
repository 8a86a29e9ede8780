// The people of a project and the pools of its tasks, as its managers see them.

import * as api from "./api.js";
import { parseLabels } from "./project-fields.js";
import { Busy, Problem, count, html, moment, useAction, useState } from "./ui.js";

const STAGES = { training: "in training", test: "in the test", qualified: "qualified", failed: "did not pass" };

/** Members with their tags and, where the project asks for it, how far they have come to qualify. */
export function People({ path, project, list, onChange }) {
  if (!list.rows) return html`<${Busy} />`;
  const asks = project.training_tasks > 0 || project.test_tasks > 0;
  const change = async (id, changes) => {
    await api.patch(`${path}/members/${id}`, changes);
    onChange();
  };
  return html`<div class="table" tabindex="0" role="region" aria-label="People">
      <table>
        <thead>
          <tr>${["Name", "Role", "Votes", "Tags", asks && "Qualification"].filter(Boolean).map((name) => html`<th scope="col">${name}</th>`)}</tr>
        </thead>
        <tbody>
          ${list.rows.map(
            (member) => html`<tr key=${member.id}>
              <td class="name" data-head="Name"><span>${member.name}<${Standing} member=${member} /></span></td>
              <td data-head="Role">${member.role}</td>
              <td data-head="Votes">${count(member.votes)}</td>
              <td data-head="Tags"><${Tags} member=${member} change=${change} /></td>
              ${asks && html`<td class="name" data-head="Qualification"><span><${Qualification} member=${member} change=${change} /></span></td>`}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${list.more && html`<button class="link" onClick=${list.more}>Show more</button>`}`;
}

/** What sanctions have made of somebody; nothing to say of those who work as they should. */
function Standing({ member }) {
  if (member.standing === "active") return null;
  const until = member.paused_until ? ` until ${moment(member.paused_until)}` : "";
  return html` <span class="badge ${member.standing}">${member.standing}${until}</span>`;
}

/** Saved when the field is left or Enter is pressed. */
function Tags({ member, change }) {
  const stored = member.tags.join(", ");
  const [typed, setTyped] = useState(null); // null: shows what is stored
  const [save, { busy, error }] = useAction(async () => {
    if (typed === null || typed === stored) return setTyped(null);
    await change(member.id, { tags: parseLabels(typed) });
    setTyped(null);
  });
  return html`<input class="tags" aria-label="Tags of ${member.name}" placeholder="none" autocomplete="off" disabled=${busy}
      value=${typed ?? stored} onInput=${(event) => setTyped(event.target.value)} onBlur=${save}
      onKeyDown=${(event) => event.key === "Enter" && save()} />
    <${Problem} error=${error} />`;
}

function Qualification({ member, change }) {
  const [set, { busy, error }] = useAction((stage) => change(member.id, { stage }));
  if (member.role !== "annotator") return "–";
  const inTest = member.stage_answers > 0 && member.stage !== "training";
  const score = inTest ? `, ${count(member.stage_right)} of ${count(member.stage_answers)} right` : "";
  return html`${STAGES[member.stage] ?? "not begun"}${score}
    ${member.stage !== "qualified" && html` <button class="link" disabled=${busy} onClick=${() => set("qualified")}>Qualify</button>`}
    ${member.stage && html` <button class="link" disabled=${busy} onClick=${() => set("training")}>Start anew</button>`}
    <${Problem} error=${error} />`;
}

/** What managers must know of pools and qualification: above all, tasks that nobody will ever be given. */
export function Pools({ statistics }) {
  const pools = statistics?.pools ?? [];
  const entry = statistics?.qualification;
  const lonely = pools.filter((pool) => pool.open > 0 && pool.members === 0);
  return html`
    ${pools.length > 0 &&
    html`<ul class="chips" aria-label="Pools">
      ${pools.map(({ pool, open, members }) => html`<li class="chip" key=${pool} dir="auto">${pool}: ${count(open)} open, ${members === 1 ? "1 person" : `${count(members)} people`}</li>`)}
    </ul>`}
    ${lonely.length > 0 &&
    html`<p class="unsent">Nobody has the tag ${lonely.map(({ pool }) => `“${pool}”`).join(", ")}: these tasks go to nobody. Give it to somebody below, or invite people with it.</p>`}
    ${entry &&
    html`<p class="muted small">
      Qualification: ${Object.entries(entry.members).map(([stage, people]) => `${count(people)} ${STAGES[stage]}`).join(", ")}.
    </p>`}
    ${entry && entry.tasks < entry.wanted &&
    html`<p class="unsent">There are ${count(entry.tasks)} tasks to qualify with, and one person may want ${count(entry.wanted)}: upload more, or people wait.</p>`}
  `;
}
