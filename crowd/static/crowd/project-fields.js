// The settings of a project as form fields, shared by the new-project form and the settings of a project.

import { Field, html } from "./ui.js";

export const DEFAULTS = {
  name: "",
  instructions: "",
  redundancy: 3,
  target_confidence: null,
  min_votes: 1,
  budget: null,
  price_per_vote: null,
  currency: "",
  lease_seconds: 600,
  max_leases: 100,
  newcomer_votes: 0,
  label_model: "auto",
  flag_below: null,
  gold_share: null,
  gold_exposures: null,
  max_skips: null,
  daily_quota: null,
  total_quota: null,
  training_tasks: 0,
  test_tasks: 0,
  pass_mark: 0.8,
  test_attempts: 1,
  order: "priority",
  acquisition: "entropy",
  search_label: null,
  explore_share: null,
  learner: null,
  learner_fields: [],
  retrain_after_votes: 200,
  retrain_after_minutes: 60,
  target_accuracy: null,
  target_accuracy_confidence: 0.95,
  auto_label_error: null,
  auto_label_confidence: 0.95,
  audit_share: 0.05,
  confirm_above: null,
  blind_share: 0.2,
  retrain_after_moved: null,
};

export const ORDERS = {
  priority: "The most uncertain",
  breadth_first: "Those with the fewest votes",
  depth_first: "Those with the most votes",
  sequential: "In the order of upload",
  random: "In random order",
};
export const ACQUISITIONS = {
  entropy: "Entropy",
  margin: "Margin",
  least_confidence: "Least confidence",
  activelab: "ActiveLab: also by the number of votes",
  vote_entropy: "Disagreement of the votes",
  new_or_relabel: "Worth of a new or further vote",
  information_gain: "By who asks: information gain",
  search: "Search for one label",
};
export const LABEL_MODELS = {
  auto: "Chosen for the votes at hand",
  majority_vote: "Majority vote",
  wawa: "Weighted by agreement (Wawa)",
  zero_based_skill: "Zero-based skill",
  one_coin: "One accuracy for each person",
  glad: "Accuracies and difficulties (GLAD)",
  dawid_skene: "Dawid-Skene",
  hierarchical_dawid_skene: "Dawid-Skene, hierarchical",
  difficulty_dawid_skene: "Dawid-Skene with easy and hard tasks",
};
export const LEARNERS = { "": "None", text: "Text", sentences: "Text with sentence vectors", numeric: "Numbers", images: "Small pictures, as pixels", embeddings: "Vectors made elsewhere", remote: "A Label Studio ML backend" };
const LEARNER_FIELDS = { text: "text", sentences: "text", numeric: "length, words", images: "pixels", embeddings: "vector", remote: "text" };

/** The labels in a text: one per line, or separated by commas when there is one line only. */
export function parseLabels(text) {
  const lines = text.trim();
  const parts = lines.includes("\n") ? lines.split("\n") : lines.split(",");
  return parts.map((part) => part.trim()).filter(Boolean);
}

export const Chips = ({ labels }) =>
  html`<ul class="chips" aria-label="Labels">${labels.map((label) => html`<li class="chip" dir="auto">${label}</li>`)}</ul>`;

/** The editable part of a project, as the API takes it. */
export function settingsOf(project) {
  const settings = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, project[name] ?? DEFAULTS[name]]));
  if (!settings.learner) delete settings.learner_fields;
  return settings;
}

const Group = ({ legend, children }) => html`<fieldset><legend>${legend}</legend><div class="grid">${children}</div></fieldset>`;

export const asNumber = (text) => (text.trim() === "" ? null : Number(text));

/** `value` holds the API's own fields; `onChange(changes)` is given those that were edited. */
export function ProjectFields({ value, onChange, error, columns = [], between }) {
  const set = (name) => (event) => onChange({ [name]: event.target.value });
  const setNumber = (name) => (event) => onChange({ [name]: asNumber(event.target.value) });
  const number = (name, label, attributes, hint) => html`<${Field} name=${name} label=${label} hint=${hint} error=${error}>
    ${(field) => html`<input ...${field} type="number" inputmode="numeric" ...${attributes} value=${value[name] ?? ""} onInput=${setNumber(name)} />`}
  <//>`;
  const audits = (hint) => number("audit_share", "Most tasks for audits, a share", { min: 0.001, max: 1, step: "any", inputmode: "decimal", required: true }, hint);
  // Amounts stay texts: they are exact, and numbers of a browser are not.
  const amount = (name, label, hint, placeholder) => html`<${Field} name=${name} label=${label} hint=${hint} error=${error}>
    ${(field) => html`<input ...${field} type="number" inputmode="decimal" min="0" step="any" placeholder=${placeholder}
        value=${value[name] ?? ""} onInput=${(event) => onChange({ [name]: event.target.value.trim() || null })} />`}
  <//>`;
  return html`
    <${Field} name="name" label="Name" error=${error}>
      ${(field) => html`<input ...${field} required maxlength="200" autocomplete="off" value=${value.name} onInput=${set("name")} />`}
    <//>
    ${between}
    <${Field} name="instructions" label="Instructions" hint="Shown to annotators as plain text." error=${error}>
      ${(field) => html`<textarea ...${field} rows="4" value=${value.instructions} onInput=${set("instructions")}></textarea>`}
    <//>
    <div class="grid">
      ${number("redundancy", "Votes per task", { min: 1, max: 1000, required: true }, "At most this many people label each task.")}
      ${number(
        "target_confidence",
        "Target confidence (optional)",
        { min: 0.5, max: 0.9999, step: "any", inputmode: "decimal", placeholder: "0.95" },
        "A task that reaches it stops early.",
      )}
      ${number(
        "target_accuracy",
        "Target accuracy (optional)",
        { min: 0.5, max: 0.999, step: "any", inputmode: "decimal", placeholder: "0.95" },
        "The project stops once experts’ audits prove that so large a share of all labels is right.",
      )}
    </div>
    <div class="grid">
      ${amount(
        "budget",
        "Budget (optional)",
        value.price_per_vote ? `In ${value.currency || "the same money"}: never exceeded.` : "In votes: never exceeded.",
        value.price_per_vote ? "250.00" : "5000",
      )}
      ${amount("price_per_vote", "Pay for a vote (optional)", "What a counted vote earns.", "0.05")}
      ${value.price_per_vote &&
      html`<${Field} name="currency" label="Currency" error=${error}>
        ${(field) => html`<input ...${field} maxlength="12" autocomplete="off" placeholder="EUR" value=${value.currency} onInput=${set("currency")} />`}
      <//>`}
    </div>
    <div class="grid">
      <${Field} name="learner" label="Learner" hint="A classifier that is retrained as votes arrive." error=${error}>
        ${(field) => html`<select ...${field} onChange=${(event) => onChange({ learner: event.target.value || null })}>
          ${Object.entries(LEARNERS).map(([key, label]) => html`<option value=${key} selected=${key === (value.learner ?? "")}>${label}</option>`)}
        </select>`}
      <//>
      ${value.learner &&
      html`<${Field} name="learner_fields" label="It reads the fields" hint="Names of task fields, separated by commas." error=${error}>
        ${(field) => html`<input ...${field} required autocomplete="off" list="columns" placeholder=${LEARNER_FIELDS[value.learner]}
            value=${value.learner_fields.join(", ")} onChange=${(event) => onChange({ learner_fields: parseLabels(event.target.value) })} />
          <datalist id="columns">${columns.map((column) => html`<option value=${column}></option>`)}</datalist>`}
      <//>`}
    </div>
    <details>
      <summary>More settings</summary>
      <${Group} legend="When a task has enough">
        ${number("min_votes", "Votes before a task may stop early", { min: 1, required: true })}
        ${number(
          "flag_below",
          "Ask an expert below this confidence (optional)",
          { min: 0.01, max: 0.9999, step: "any", inputmode: "decimal", placeholder: "0.8" },
          "About a task that has all its votes and is less sure.",
        )}
        ${value.target_accuracy !== null &&
        html`${number("target_accuracy_confidence", "How sure the target accuracy has to be", { min: 0.5, max: 0.9999, step: "any", inputmode: "decimal", required: true })}
          ${value.auto_label_error === null && audits("Experts answer at most so many to prove the target accuracy.")}`}
        ${number("max_skips", "Flag a task after so many skips (optional)", { min: 1, max: 1000 }, "Only those as broken or unclear.")}
      <//>
      <${Group} legend="Which tasks come next">
        <${Field} name="order" label="Which tasks come first" error=${error}>
          ${(field) => html`<select ...${field} onChange=${set("order")}>
            ${Object.entries(ORDERS).map(([key, label]) => html`<option value=${key} selected=${key === value.order}>${label}</option>`)}
          </select>`}
        <//>
        ${value.acquisition === "search" &&
        html`<${Field} name="search_label" label="Search for the label" error=${error}>
          ${(field) => html`<input ...${field} required maxlength="200" autocomplete="off" value=${value.search_label ?? ""} onInput=${(event) => onChange({ search_label: event.target.value.trim() || null })} />`}
        <//>`}
        ${number("explore_share", "Share of assignments left to chance (optional)", { min: 0.001, max: 1, step: "any", inputmode: "decimal", placeholder: "0.05" }, "Whatever is known of them, so that what is asked about says something of all tasks.")}
        ${number("lease_seconds", "Seconds to answer a task", { min: 10, max: 86400, required: true })}
        ${number("max_leases", "Tasks that one annotator may hold", { min: 1, max: 1000, required: true })}
        <${Field} name="acquisition" label="Measure of uncertainty" error=${error}>
          ${(field) => html`<select ...${field} onChange=${set("acquisition")}>
            ${Object.entries(ACQUISITIONS).map(
              ([key, label]) => html`<option value=${key} selected=${key === value.acquisition}>${label}</option>`,
            )}
          </select>`}
        <//>
      <//>
      <${Group} legend="How votes become a label">
        <${Field} name="label_model" label="Label model" error=${error}>
          ${(field) => html`<select ...${field} onChange=${set("label_model")}>
            ${Object.entries(LABEL_MODELS).map(
              ([key, label]) => html`<option value=${key} selected=${key === value.label_model}>${label}</option>`,
            )}
          </select>`}
        <//>
        ${number("newcomer_votes", "Votes until somebody’s own skill counts", { min: 0, max: 1000, required: true }, "Before that, their votes weigh what anybody’s do.")}
      <//>
      <${Group} legend="Known labels among tasks">
        ${number(
          "gold_share",
          "Share of known labels among tasks (optional)",
          { min: 0, max: 1, step: "any", inputmode: "decimal", placeholder: "0.05" },
          "The chance that a task handed out is one whose label you know. Without it they are tasks as any other.",
        )}
        ${value.gold_share !== null &&
        number("gold_exposures", "People who see the same one (optional)", { min: 1, max: 1000000 }, "At most so many of them see one known label.")}
      <//>
      <${Group} legend="How much one annotator does">
        ${number("daily_quota", "Votes of one annotator a day (optional)", { min: 1 }, "A day begins at midnight, UTC.")}
        ${number("total_quota", "Votes of one annotator in all (optional)", { min: 1 })}
      <//>
      <${Group} legend="Training and test">
        ${number("training_tasks", "Training tasks", { min: 0, max: 1000, required: true }, "Answered first, with feedback.")}
        ${number("test_tasks", "Test tasks", { min: 0, max: 1000, required: true }, "Answered then. Upload tasks for both with “qualification” and their gold.")}
        ${number("pass_mark", "Share that must be right", { min: 0, max: 1, step: "any", inputmode: "decimal", required: true })}
        ${number("test_attempts", "Attempts at the test", { min: 1, max: 100, required: true })}
      <//>
      <${Group} legend="When the learner is retrained">
        ${number("retrain_after_votes", "Retrain after so many votes", { min: 1, required: true })}
        ${number("retrain_after_minutes", "… or after so many minutes", { min: 1, required: true })}
        ${number(
          "retrain_after_moved",
          "… or when this share of labels has changed (optional)",
          { min: 0.001, max: 1, step: "any", inputmode: "decimal", placeholder: "0.05" },
          "Of the labels that the learner was taught.",
        )}
      <//>
      ${value.learner &&
      html`<${Group} legend="What the machine answers alone, and what people confirm">
        ${number(
          "auto_label_error",
          "Share of its answers that may be wrong (optional)",
          { min: 0.001, max: 0.5, step: "any", inputmode: "decimal", placeholder: "0.02" },
          "It answers alone once audits by people prove that no more are. Without a share it never does.",
        )}
        ${value.auto_label_error !== null &&
        html`${number("auto_label_confidence", "How sure that has to be", { min: 0.5, max: 0.9999, step: "any", inputmode: "decimal", required: true })}
          ${audits("People answer them blind, where that certifies most, and it never learns from them.")}`}
        ${number(
          "confirm_above",
          "Show its answer to people above this probability (optional)",
          { min: 0, max: 0.9999, step: "any", inputmode: "decimal", placeholder: "0.8" },
          "They confirm or correct it.",
        )}
        ${value.confirm_above !== null &&
        number("blind_share", "Share of them that is not shown it", { min: 0.01, max: 1, step: "any", inputmode: "decimal", required: true }, "The comparison that tells how far people are led by what they see.")}
      <//>`}
    </details>
  `;
}
