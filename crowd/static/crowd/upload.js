// Files of tasks: choosing or dropping one, sending it, and telling which lines are wrong.

import * as api from "./api.js";
import { ErrorLines, count, html, useAction, useEffect, useState } from "./ui.js";

const TYPES = { csv: "text/csv", jsonl: "application/x-ndjson", ndjson: "application/x-ndjson", json: "application/json" };
const ACCEPT = Object.keys(TYPES).map((ending) => `.${ending}`).join(",");

const OURS = ["key", "gold", "redundancy"]; // columns that are not shown to annotators

const endingOf = (file) => file.name.toLowerCase().split(".").pop();
const fileSize = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

export const isTaskFile = (file) => endingOf(file) in TYPES;

/** Sends a file of tasks: `{created, already_there, gold}`, or an ApiError whose `errors` name lines. */
export const uploadTasks = (project, file, onProgress = () => {}) =>
  api.upload(`/api/projects/${project}/tasks`, file, TYPES[endingOf(file)], onProgress);

/** The column names of a CSV file (of its first line only), without our own columns. */
export async function csvColumns(file) {
  if (endingOf(file) !== "csv") return [];
  const [header] = (await file.slice(0, 65_536).text()).replace(/^\uFEFF/, "").split(/\r?\n/, 1);
  return header
    .split(",")
    .map((name) => name.trim().replace(/^"|"$/g, ""))
    .filter((name) => name && !OURS.includes(name));
}

/** A box to drop a file on; it is also an ordinary file field, for the keyboard. */
export function FileBox({ label, file, onFile }) {
  const [over, setOver] = useState(false);
  const [wrong, setWrong] = useState(null);
  const take = (files) => {
    const [first] = files;
    if (!first) return;
    setWrong(isTaskFile(first) ? null : first.name);
    onFile(isTaskFile(first) ? first : null);
  };
  const onDrag = (event) => {
    event.preventDefault();
    setOver(event.type === "dragover");
  };
  const onDrop = (event) => {
    onDrag(event);
    take(event.dataTransfer.files);
  };
  const onChange = (event) => {
    take(event.target.files);
    event.target.value = ""; // So that the same file can be chosen again once it is corrected.
  };
  useEffect(() => {
    // A file that misses the box must not replace the page.
    const ignore = (event) => event.preventDefault();
    for (const type of ["dragover", "drop"]) addEventListener(type, ignore);
    return () => ["dragover", "drop"].forEach((type) => removeEventListener(type, ignore));
  }, []);
  return html`<div class="file-box ${over ? "over" : ""}" onDragOver=${onDrag} onDragLeave=${onDrag} onDrop=${onDrop}>
    <label>
      <span>${label}</span>
      <input type="file" accept=${ACCEPT} onChange=${onChange} aria-describedby="file-state" />
    </label>
    <p id="file-state" role="status">
      ${file && html`<strong>${file.name}</strong> (${fileSize(file.size)})`}
      ${!file && !wrong && "CSV with a header, JSONL or JSON. Or drop it here."}
      ${wrong && html`<span class="wrong">“${wrong}” is not a CSV, JSONL or JSON file.</span>`}
    </p>
  </div>`;
}

/** What the server says is wrong with a file, line by line. */
export function UploadProblem({ error }) {
  if (!error) return null;
  return html`<div class="problem" role="alert">
    <p><strong>No task was stored.</strong> ${error.message}</p>
    ${error.errors?.length > 0 && html`<${ErrorLines} entries=${error.errors} />`}
  </div>`;
}

/** Choosing a file and sending it to a project, as often as it takes. `onDone(result)` after each success. */
export function UploadTasks({ project, firstError, onDone }) {
  const [file, setFile] = useState(null);
  const [share, setShare] = useState(0);
  const [result, setResult] = useState(null);
  const [error, setError] = useState(firstError ?? null);
  const [send, { busy }] = useAction(async () => {
    setResult(null);
    setError(null);
    setShare(0);
    try {
      const stored = await uploadTasks(project, file, setShare);
      setResult(stored);
      onDone?.(stored);
    } catch (problem) {
      setError(problem);
    }
    setFile(null); // A file that was corrected must be chosen again: browsers refuse to read a changed file.
  });
  const submit = (event) => {
    event.preventDefault();
    if (file) send();
  };
  return html`<form onSubmit=${submit}>
    <${FileBox} label="File of tasks" file=${file} onFile=${setFile} />
    <details class="muted">
      <summary>What the file looks like</summary>
      <p>
        CSV: a header, then one task per line; every column is shown to the annotators, except <code>key</code> (your own name of the task),
        <code>gold</code> (its known label) and <code>redundancy</code> (its own number of votes). JSONL: one task per line, like this one:
      </p>
      <pre><code>${'{"key": "a-1", "data": {"text": "Hello"}, "gold": "greeting"}'}</code></pre>
    </details>
    <button type="submit" disabled=${!file || busy} aria-busy=${busy}>Upload</button>
    ${busy && html`<progress value=${share} max="1" aria-label="Upload"></progress>`}
    <p role="status">
      ${result &&
      html`${count(result.created)} tasks added${result.already_there ? `, ${count(result.already_there)} were there already` : ""}${result.gold
        ? `, ${count(result.gold)} with a known label`
        : ""}.`}
    </p>
    <${UploadProblem} error=${error} />
  </form>`;
}
