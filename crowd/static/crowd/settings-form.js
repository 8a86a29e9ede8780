// The settings of a project. Two managers may edit at once: the second to save is told, and chooses.

import * as api from "./api.js";
import { Chips, DEFAULTS, ProjectFields, settingsOf } from "./project-fields.js";
import { Problem, html, useAction, useState } from "./ui.js";

const same = (left, right) => JSON.stringify(left) === JSON.stringify(right);

export function SettingsForm({ project, onSaved }) {
  const [base, setBase] = useState(project); // what this form started from
  const [changes, setChanges] = useState({});
  const [newer, setNewer] = useState(null); // what somebody else saved meanwhile
  const [saved, setSaved] = useState(false);
  const edited = Object.keys(changes).length > 0;
  // Nothing typed yet: follow what others save.
  const start = edited ? base : project;
  const value = { ...DEFAULTS, ...start, learner_fields: start.learner_fields ?? [], ...changes };

  const change = (added) => {
    if (!edited) setBase(project);
    setSaved(false);
    setChanges((before) => ({ ...before, ...added }));
  };
  const adopt = (stored) => {
    setBase(stored);
    setChanges({});
    setNewer(null);
    onSaved(stored);
  };
  const [save, { busy, error }] = useAction(async () => {
    setSaved(false);
    adopt(await savedBy(api.patch, project.id, changes, base, setNewer));
    setSaved(true);
  });
  const submit = (event) => {
    event.preventDefault();
    if (edited) save();
  };
  return html`<form onSubmit=${submit}>
    <${Problem} error=${error?.code === "edited_meanwhile" ? null : error} fields=${Object.keys(DEFAULTS)} />
    <${ProjectFields} value=${value} onChange=${change} error=${error} between=${html`<${Chips} labels=${project.labels} />`} />
    ${newer &&
    html`<div class="problem" role="alert">
      <p><strong>Somebody else has changed these settings meanwhile.</strong> Yours were not saved.</p>
      <ul>${differences(newer, value).map(([name, theirs]) => html`<li><code>${name}</code> is now: ${theirs}</li>`)}</ul>
      <button type="button" class="secondary" onClick=${() => adopt(newer)}>Load theirs</button>
    </div>`}
    <button type="submit" disabled=${!edited || busy} aria-busy=${busy}>Save</button>
    <p role="status">${saved && "Saved."}</p>
  </form>`;
}

/** Saves, once more when only the version had moved (a pause moves it too). */
async function savedBy(patch, id, changes, base, onNewer) {
  const path = `/api/projects/${id}`;
  try {
    return await patch(path, { ...changes, version: base.version });
  } catch (error) {
    if (error.code !== "edited_meanwhile") throw error;
    const current = await api.get(path);
    if (same(settingsOf(current), settingsOf(base))) return patch(path, { ...changes, version: current.version });
    onNewer(current);
    throw error;
  }
}

/** The settings of theirs that differ from what is in the form. */
function differences(theirs, mine) {
  return Object.keys(DEFAULTS)
    .filter((name) => !same(theirs[name] ?? null, mine[name] ?? null))
    .map((name) => [name, [theirs[name] ?? "none"].flat().join(", ")]);
}
