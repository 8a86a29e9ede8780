// How a task is answered: one component for each label type.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./ui.js";

const KEYS = [..."1234567890abcdefghijklmnopqrtuvwxyz"]; // without "s", which skips
const MOST_KEYS = 20;
const DOUBLE_CLICK_MS = 300;

export const ANSWERS = { choice: Choice };

/** `below`: what follows the labels, given `onSkip` and the hint of its key. */
function Choice({ task, labels, onAnswer, onSkip, below = Skip }) {
  const given = { labels, onAnswer, onSkip, below };
  return labels.length > MOST_KEYS ? html`<${Search} key=${task.id} task=${task} ...${given} />` : html`<${Buttons} task=${task} ...${given} />`;
}

/** The labels' keys: their own names where each is a single key of ours (a digit is answered by itself), else in order. */
function keysOf(labels) {
  const names = labels.map((label) => label.toLowerCase());
  const areKeys = new Set(names).size === names.length && names.every((name) => KEYS.includes(name));
  return areKeys ? names : KEYS;
}

/** A button for each label; a key of its own for each button. */
function Buttons({ task, labels, onAnswer, onSkip, below: Below }) {
  const shownAt = useRef(0);
  const keys = keysOf(labels);
  useEffect(() => {
    shownAt.current = performance.now();
  }, [task.id]);
  useKeys((key) => {
    if (key === "s") return onSkip;
    const label = labels[keys.indexOf(key)];
    return label !== undefined && (() => onAnswer(label));
  });
  const click = (event, label) => {
    // The second half of a double click belongs to the task before.
    if (event.detail > 1 && performance.now() - shownAt.current < DOUBLE_CLICK_MS) return;
    onAnswer(label);
  };
  return html`<${Suggestion} task=${task} onAnswer=${onAnswer} />
    <section class="answers" aria-label="Your answer">
      ${labels.map(
        (label, index) => html`<button key=${label} class="answer ${label === task.suggestion ? "marked" : ""}" aria-keyshortcuts=${keys[index]} onClick=${(event) => click(event, label)}>
          <kbd aria-hidden="true">${keys[index].toUpperCase()}</kbd><span dir="auto">${label}</span>
        </button>`,
      )}
    </section>
    <${Below} hint="S" onSkip=${onSkip} />`;
}

/** What the machine says, to be accepted with Enter, as its button has the focus, or corrected with another label. */
function Suggestion({ task, onAnswer }) {
  const accept = useRef(null);
  const shownAt = useRef(0);
  useEffect(() => {
    shownAt.current = performance.now();
    accept.current?.focus({ preventScroll: true });
  }, [task.id]);
  if (!task.suggestion) return null;
  // A key that is held down, or the second half of a double click, belongs to the task before.
  const click = () => performance.now() - shownAt.current >= DOUBLE_CLICK_MS && onAnswer(task.suggestion);
  return html`<p class="suggestion" role="status">
    <span>The machine says: <strong dir="auto">${task.suggestion}</strong></span>
    <button key=${task.id} ref=${accept} onClick=${click} onKeyDown=${(event) => event.repeat && event.preventDefault()}>Accept <kbd aria-hidden="true">Enter</kbd></button>
    <span class="muted">or choose another label. It is often right, not always: please look.</span>
  </p>`;
}

/** Too many labels for keys: typing finds them, Enter takes the marked one. */
function Search({ task, labels, onAnswer, onSkip, below: Below }) {
  const [typed, setTyped] = useState("");
  const [marked, setMarked] = useState(Math.max(0, labels.indexOf(task.suggestion)));
  const field = useRef(null);
  const list = useRef(null);
  const found = matching(labels, typed);
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) field.current.focus(); // A touch keyboard would hide the task.
  }, []);
  useEffect(() => list.current.querySelector(".marked")?.scrollIntoView({ block: "nearest" }), [marked, typed]);
  useKeys((key) => {
    if (key === "s") return onSkip;
    return key.length === 1 && (() => (setTyped(typed + key), setMarked(0), field.current.focus()));
  });
  const step = { ArrowDown: 1, ArrowUp: -1 };
  const onKeyDown = (event) => {
    if (event.isComposing) return;
    if (event.key in step) setMarked(Math.max(0, Math.min(found.length - 1, marked + step[event.key])));
    else if (event.key === "Enter" && !event.repeat && found[marked] !== undefined) onAnswer(found[marked]);
    else if (event.key === "Escape") typed ? setTyped("") : field.current.blur();
    else return;
    event.preventDefault();
  };
  return html`${task.suggestion && html`<p class="suggestion" role="status">The machine says: <strong dir="auto">${task.suggestion}</strong>. It is marked below: take it or find another.</p>`}
    <label class="search">
      <span>Type to find a label, Enter takes the marked one</span>
      <input ref=${field} type="search" value=${typed} autocomplete="off" spellcheck=${false}
        onInput=${(event) => (setTyped(event.target.value), setMarked(0))} onKeyDown=${onKeyDown} />
    </label>
    <p class="visually-hidden" role="status">
      ${typed && (found.length ? `${found.length} of ${labels.length} labels, Enter takes ${found[marked]}` : "No such label")}
    </p>
    <section ref=${list} class="answers many" aria-label="Your answer">
      ${found.map(
        (label, index) => html`<button key=${label} class="answer ${index === marked ? "marked" : ""}" onClick=${() => onAnswer(label)}>
          <span dir="auto">${label}</span>
        </button>`,
      )}
      ${found.length === 0 && html`<p class="muted">No label contains “${typed}”.</p>`}
    </section>
    <${Below} hint="Esc, S" onSkip=${onSkip} />`;
}

const Skip = ({ hint, onSkip }) =>
  html`<p class="skip">
    <button class="outline secondary" onClick=${() => onSkip()}>Skip this task <kbd aria-hidden="true">${hint}</kbd></button>
    <button class="link" onClick=${() => onSkip("unclear")}>It is unclear</button>
    <button class="link" onClick=${() => onSkip("broken")}>It is broken</button>
  </p>`;

/** Labels that begin with what was typed, then those that contain it. */
function matching(labels, typed) {
  const wanted = typed.trim().toLocaleLowerCase();
  if (!wanted) return labels;
  const places = labels.map((label) => label.toLocaleLowerCase().indexOf(wanted));
  const at = (test) => labels.filter((_, index) => test(places[index]));
  return [...at((place) => place === 0), ...at((place) => place > 0)];
}

/** Calls the action that `actionOf(key)` names, unless the key belongs to a field, a shortcut of the browser, or is held down. */
export function useKeys(actionOf) {
  const latest = useRef();
  latest.current = actionOf;
  // Before the task is painted: whoever can see it can answer it.
  useLayoutEffect(() => {
    const onKeyDown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing || event.defaultPrevented) return;
      if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
      if (event.key === " " || event.key === "Enter") return;
      const action = latest.current(event.key.toLowerCase());
      if (!action) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, []);
}
