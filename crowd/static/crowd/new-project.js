// "/projects/new/": makes a project and fills it with the tasks of a file.

import * as api from "./api.js";
import { Chips, DEFAULTS, ProjectFields, parseLabels, settingsOf } from "./project-fields.js";
import { Field, Frame, Problem, SignedIn, html, mount, useAction, useState } from "./ui.js";
import { FileBox, UploadTasks, csvColumns, uploadTasks } from "./upload.js";

const FIELDS = [...Object.keys(DEFAULTS), "labels"];

function Page() {
  return html`<${SignedIn} title="New project">
    ${(user) =>
      user.may_create_projects
        ? html`<${NewProject} user=${user} />`
        : html`<${Frame} user=${user} title="New project" narrow><p>Your account may not create projects. <a href="/">Your projects</a></p><//>`}
  <//>`;
}

function NewProject({ user }) {
  const [value, setValue] = useState(DEFAULTS);
  const [labelText, setLabelText] = useState("");
  const [file, setFile] = useState(null);
  const [columns, setColumns] = useState([]);
  const [share, setShare] = useState(null);
  const [halfway, setHalfway] = useState(null); // the project exists, its file was refused
  const labels = parseLabels(labelText);
  const change = (changes, known = columns) => setValue((before) => withSuggestion({ ...before, ...changes }, known));
  const take = async (chosen) => {
    setFile(chosen);
    const known = chosen ? await csvColumns(chosen) : [];
    setColumns(known);
    change({}, known);
  };
  const [create, { busy, error }] = useAction(async () => {
    const project = await api.post("/api/projects", { ...settingsOf(value), label_type: "choice", labels });
    try {
      if (file) await uploadTasks(project.id, file, setShare);
    } catch (problem) {
      setHalfway({ project, problem });
      return;
    }
    location.assign(`/projects/${project.id}/`);
  });
  const submit = (event) => {
    event.preventDefault();
    create();
  };
  if (halfway) return html`<${FixFile} user=${user} ...${halfway} />`;
  return html`<${Frame} user=${user} title="New project" narrow>
    <form onSubmit=${submit}>
      <${Problem} error=${error} fields=${FIELDS} />
      <${ProjectFields} value=${value} onChange=${change} error=${error} columns=${columns} between=${html`
        <${Field} name="labels" label="Labels" hint="One per line, or separated by commas. Two at least." error=${error}>
          ${(field) =>
            html`<textarea ...${field} rows="3" required value=${labelText} onInput=${(event) => setLabelText(event.target.value)}></textarea>`}
        <//>
        <${Chips} labels=${labels} />
      `} />
      <${FileBox} label="Tasks (you can also add them later)" file=${file} onFile=${take} />
      <button type="submit" disabled=${busy} aria-busy=${busy}>Create project</button>
      ${busy && share !== null && html`<progress value=${share} max="1" aria-label="Upload"></progress>`}
    </form>
  <//>`;
}

/** A learner without fields reads the file's first column, until somebody says otherwise. */
function withSuggestion(value, columns) {
  const unsaid = value.learner && value.learner_fields.length === 0;
  return unsaid ? { ...value, learner_fields: columns.slice(0, 1) } : value;
}

function FixFile({ user, project, problem }) {
  const open = `/projects/${project.id}/`;
  return html`<${Frame} user=${user} title=${project.name} narrow>
    <p>The project is made. Its file of tasks was not accepted: correct it and upload it again, here or later on <a href=${open}>the project's page</a>.</p>
    <${UploadTasks} project=${project.id} firstError=${problem} onDone=${() => location.assign(open)} />
  <//>`;
}

mount(Page);
