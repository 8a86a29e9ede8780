// What a backtest found: a table, the curves with their bands, and the tasks that would have stopped with a wrong label.

import { CostQuality } from "./charts.js";
import { Table } from "./table.js";
import { count, html, money, percent } from "./ui.js";

const STEPS = 5; // of the curve between two rows of its table

export function Answer({ result, project }) {
  const { now, what_if: whatIf } = result;
  return html`<p class="muted small">${howMeasured(result)}</p>
    <${Table} label="Now and what if" head=${["", "Now", "What if"]} classes=${["name", "", ""]} list=${{ rows: figures(result, project), more: null }}>
      ${(row) => [row.name, row.of(now), row.of(whatIf)]}
    <//>
    <h3>What votes buy</h3>
    <${CostQuality} now=${now.curve} whatIf=${whatIf.curve} majority=${result.majority_accuracy} words=${curveInWords(result)} />
    <p class="muted small">
      <span class="key line"></span> now <span class="key dash"></span> what if <span class="key thin"></span> majority vote on all votes; bands hold nine tenths of the replays. Where settings stop early, a
      curve goes on flat.
    </p>
    <details>
      <summary>The curves as a table</summary>
      <${Table} label="Accuracy by votes" head=${["Votes", "Now", "Nine tenths between", "What if", "Nine tenths between"]} classes=${[]} list=${{ rows: points(result), more: null }}>
        ${({ votes, mine, other }) => [votes, share(mine.accuracy), between(mine), share(other.accuracy), between(other)]}
      <//>
    </details>
    <${RetiredWrongly} found=${whatIf} seeds=${result.seeds} />`;
}

function howMeasured({ votes, tasks, sampled, seeds, scored_by: by, scored_tasks: scored, not_followed: left }) {
  const replayed = `${count(votes)} votes on ${count(tasks)} tasks${sampled ? ", drawn at random," : ""} were replayed ${seeds} times. ${left.length ? `The replays leave out what these settings do: ${left.join(", ").replaceAll("_", " ")}.` : ""}`;
  if (by === "gold") return `${replayed} Right is what ${count(scored)} known labels say.`;
  return `${replayed} Too few labels are known, so right is what the consensus of all votes says, which may itself be wrong: upload 20 known labels or more to be surer.`;
}

function figures(result, project) {
  const cost = (votesShare) => {
    const votes = Math.round(votesShare * result.votes);
    const paid = project.price_per_vote ? `, ${money(votes * project.price_per_vote)} ${project.currency}` : "";
    return `${percent(votesShare)} of the votes (${count(votes)}${paid})`;
  };
  const needed = (votesShare) => (votesShare == null ? "never" : cost(votesShare));
  const after = (wanted, votesShare, found) => needed(found.curve.at(-1).accuracy < wanted - 1e-12 ? null : votesShare);
  const { majority_accuracy: majority, full_accuracy: full } = result;
  const rows = [
    ["Votes spent in the end, on average", (found) => cost(found.votes_used)],
    ["Right in the end", (found) => share(found.curve.at(-1).accuracy)],
    [`Votes to be as right as majority vote on all (${share(majority)})`, (found) => after(majority, found.votes_to_majority, found)],
    [`Votes to be as right as all can make it, less half a point (${share(full - 0.005)})`, (found) => after(full - 0.005, found.votes_to_full, found)],
    ...result.now.votes_to.map(({ accuracy }, row) => [`Votes to be ${percent(accuracy)} right`, (found) => needed(found.votes_to[row].votes_share)]),
    ["Tasks stopped early as sure enough", (found) => (found.settings.target_confidence == null ? "no target" : share(found.retired_share))],
    ["Of these wrong", (found) => (found.retired_accuracy == null ? "–" : share(1 - found.retired_accuracy))],
    ...experts(result),
    ...machine(result),
  ];
  return rows.map(([name, of]) => ({ id: name, name, of }));
}

const either = ({ now, what_if: whatIf }, holds) => holds(now) || holds(whatIf);

/** Doubtful tasks that all their votes have not settled. */
function experts(result) {
  if (!either(result, (found) => found.settings.flag_below != null)) return [];
  return [["Tasks left to an expert", (found) => (found.settings.flag_below == null ? "–" : share(found.disputed_share))]];
}

function machine(result) {
  const rows = [];
  if (either(result, (found) => found.unreadable > 0)) rows.push(["Tasks that the learner can’t read", (found) => count(found.unreadable)]);
  if (!either(result, (found) => found.auto_share != null)) return rows;
  return [
    ...rows,
    ["Tasks answered by the machine alone", (found) => (found.auto_share == null ? "–" : `${share(found.auto_share)} (${count(Math.round(found.auto_audits))} audits)`)],
    ["Of these answers wrong", (found) => (found.auto_wrong == null ? "–" : share(found.auto_wrong))],
  ];
}

function points({ now, what_if: whatIf }) {
  return now.curve
    .map((mine, row) => ({ id: row, votes: percent(mine.votes_share), mine, other: whatIf.curve[row] }))
    .filter(({ id }) => id % STEPS === 0);
}

function curveInWords({ now, what_if: whatIf }) {
  const half = (found) => found.curve[(found.curve.length - 1) / 2].accuracy;
  return `With half of the votes ${share(half(now))} of the labels would have been right as things are, and ${share(half(whatIf))} with the other settings.`;
}

function RetiredWrongly({ found, seeds }) {
  if (!found.retired_wrongly.length) return null;
  return html`<h3>What would have stopped with a wrong label</h3>
    <${Table} label="Stopped with a wrong label" head=${["Task", "Right label", "Replays"]} classes=${["name", "name", ""]} list=${{ rows: found.retired_wrongly.map((row) => ({ id: row.task, ...row })), more: null }}>
      ${({ task, key, true_label: right, replays }) => [key ?? `task ${task}`, right, `${replays} of ${seeds}`]}
    <//>`;
}

const share = (value) => `${(100 * value).toFixed(1)} %`;
const between = ({ low, high }) => `${share(low)} to ${share(high)}`;
