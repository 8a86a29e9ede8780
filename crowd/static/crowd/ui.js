// What every page shares: rendering, the frame around a page, errors, forms, polling, formats.
// User content only ever reaches the page as a text node or an attribute value: there is no innerHTML in this folder.

import { h, render } from "../vendor/preact/preact.js";
import { useCallback, useEffect, useErrorBoundary, useLayoutEffect, useRef, useState } from "../vendor/preact/hooks.js";
import htm from "../vendor/htm/htm.js";
import * as api from "./api.js";

export { useCallback, useEffect, useLayoutEffect, useRef, useState };
export const html = htm.bind(h);

export function mount(Page) {
  const root = document.getElementById("page");
  root.replaceChildren();
  render(html`<${Guarded} page=${Page} />`, root);
}

/** A mistake of ours must not leave an empty page. */
function Guarded({ page: Page }) {
  const [error] = useErrorBoundary((problem) => console.error(problem));
  if (!error) return html`<${Page} />`;
  return html`<${Frame} title="Something went wrong">
    <p>This page has met a mistake of its own. Nothing that was saved is lost.</p>
    <button onClick=${() => location.reload()}>Load the page again</button>
  <//>`;
}

// --- The frame ------------------------------------------------------------------------------------------------------

export function Frame({ user, title, narrow, aside, children }) {
  useEffect(() => {
    if (title) document.title = `${title} · Crowd`;
  }, [title]);
  return html`
    <a class="skip-link" href="#main">Skip to the content</a>
    <header class="site container">
      <nav aria-label="Crowd">
        <a class="brand" href="/"><img src=${asset("icon.svg")} alt="" width="28" height="28" /> Crowd</a>
        ${user &&
        html`<span class="who"><span class="name">${user.name}</span> <button class="link" onClick=${signOut}>Sign out</button></span>`}
      </nav>
    </header>
    <main id="main" tabindex="-1" class=${narrow ? "container narrow" : "container"}>
      ${title && html`<div class="title"><h1>${title}</h1>${aside}</div>`} ${children}
    </main>
  `;
}

const asset = (name) => new URL(name, import.meta.url).pathname;

async function signOut() {
  try {
    await api.remove("/api/session");
  } finally {
    location.assign("/");
  }
}

/** Renders its child function with the person who is signed in; anybody else is sent to the sign-in form and back. */
export function SignedIn({ title, children }) {
  const session = useLoad(() => api.get("/api/session"), []);
  const user = session.value?.user;
  useEffect(() => {
    if (session.value && !user) location.replace(api.withQuery("/", { next: location.pathname + location.search }));
  }, [session.value]);
  if (session.error) return html`<${Frame} title=${title}><${Problem} error=${session.error} onRetry=${session.reload} /><//>`;
  if (!user) return html`<${Frame}><${Busy} /><//>`;
  return children(user, session.value);
}

/** The page that was asked for before signing in; only ever one of ours. */
export function nextPage() {
  const next = new URLSearchParams(location.search).get("next");
  if (!next || !URL.canParse(next, location.origin)) return "/";
  const url = new URL(next, location.origin);
  return url.origin === location.origin ? url.href : "/";
}

// --- Loading and polling --------------------------------------------------------------------------------------------

/** `{value, error, loading, reload, set}` of one request. */
export function useLoad(load, inputs) {
  const [state, setState] = useState({ loading: true });
  const latest = useRef(0);
  const reload = useCallback(async () => {
    const turn = ++latest.current;
    const settle = (result) => turn === latest.current && setState(result);
    try {
      settle({ value: await load(), loading: false });
    } catch (error) {
      settle({ error, loading: false });
    }
  }, inputs);
  useEffect(() => void reload(), inputs);
  return { ...state, reload, set: (value) => setState({ value, loading: false }) };
}

/** Like useLoad, again every `ms` while the page is visible. An error keeps the last value; a slow answer delays the next request. */
export function usePoll(load, ms, inputs) {
  const [state, setState] = useState({});
  const now = useRef(() => {});
  useEffect(() => {
    let stopped = false;
    let running = false;
    let timer;
    const turn = async () => {
      clearTimeout(timer);
      if (stopped || running) return;
      running = true;
      try {
        const value = await load();
        if (!stopped) setState({ value });
      } catch (error) {
        if (!stopped) setState((before) => ({ ...before, error }));
      }
      running = false;
      if (!stopped && !document.hidden) timer = setTimeout(turn, ms);
    };
    const onVisible = () => !document.hidden && turn();
    now.current = turn;
    document.addEventListener("visibilitychange", onVisible);
    turn();
    return () => {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, inputs);
  return { ...state, reload: () => now.current(), set: (value) => setState({ value }) };
}

// --- Messages -------------------------------------------------------------------------------------------------------

export const Busy = ({ children = "One moment …" }) => html`<p class="muted" aria-busy="true">${children}</p>`;

/** An error with the entries that no field of the form shows by itself. */
export function Problem({ error, fields = [], onRetry }) {
  if (!error) return null;
  const all = error.errors ?? [];
  const entries = all.filter((entry) => !fields.includes(rootOf(entry.field)));
  // One field says it already, in the same words.
  if (all.length === 1 && entries.length === 0 && all[0].detail === error.message) return null;
  return html`<div class="problem" role="alert">
    <p>${error.message}</p>
    ${entries.length > 0 && html`<${ErrorLines} entries=${entries} />`}
    ${onRetry && html`<button class="secondary" onClick=${onRetry}>Try again</button>`}
  </div>`;
}

export const ErrorLines = ({ entries }) => html`<ul class="lines">
  ${entries.map((entry) => html`<li>${entry.field && html`<strong>${placeOf(entry.field)}</strong>: `}${entry.detail}</li>`)}
</ul>`;

/** "line 3.gold" as people say it. */
const placeOf = (field) => field.replace(/^line (\d+)\.?/, (_, line) => `Line ${line} `).trim();

const rootOf = (field) => String(field ?? "").split(".")[0];

export const errorsOf = (error, name) => (error?.errors ?? []).filter((entry) => rootOf(entry.field) === name);

// --- Forms ----------------------------------------------------------------------------------------------------------

/** A label, its input (a child function that is given the attributes to use), a hint, and the API's errors of that field. */
export function Field({ name, label, hint, error, children }) {
  const errors = errorsOf(error, name);
  const id = `field-${name}`;
  const described = [hint && `${id}-hint`, errors.length && `${id}-errors`].filter(Boolean).join(" ") || undefined;
  const attributes = { id, name, "aria-describedby": described, "aria-invalid": errors.length ? "true" : undefined };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${children(attributes)} ${hint && html`<small id="${id}-hint">${hint}</small>`}
    ${errors.length > 0 && html`<small id="${id}-errors" class="wrong">${errors.map((entry) => entry.detail).join(" ")}</small>`}
  </div>`;
}

/** Runs an action once at a time: `[run, {busy, error}]`. */
export function useAction(action) {
  const [state, setState] = useState({ busy: false, error: null });
  const running = useRef(false);
  const run = async (...given) => {
    if (running.current) return;
    running.current = true;
    setState({ busy: true, error: null });
    let error = null;
    try {
      await action(...given);
    } catch (problem) {
      if (!(problem instanceof api.ApiError)) console.error(problem);
      error = problem;
    }
    running.current = false;
    setState({ busy: false, error });
  };
  return [run, state];
}

/** Something that is shown once, with a button that copies it. */
export function CopyText({ label, text }) {
  const [done, setDone] = useState("");
  const field = useRef(null);
  const copy = async () => {
    field.current.select();
    try {
      await navigator.clipboard.writeText(text);
      setDone("Copied.");
    } catch {
      setDone("Selected: copy it with Ctrl+C.");
    }
  };
  return html`<div class="copy">
    <input ref=${field} type="text" readonly aria-label=${label} value=${text} onFocus=${(event) => event.target.select()} />
    <button type="button" onClick=${copy}>Copy</button>
    <small role="status">${done}</small>
  </div>`;
}

// --- Formats --------------------------------------------------------------------------------------------------------

export const count = (value) => (value == null ? "–" : Number(value).toLocaleString("en"));

/** Money, from the API's decimal text. */
export const money = (value) =>
  value == null ? "–" : Number(value).toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 4 });

/** Rounded down: nothing is called 100 % that is not. */
export function percent(value, digits = 0) {
  if (value == null) return "–";
  const scale = 10 ** digits;
  return `${(Math.floor(100 * value * scale + 1e-6) / scale).toFixed(digits)} %`;
}

export const moment = (value) =>
  value ? new Date(value).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : "–";
