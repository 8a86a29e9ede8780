// "/": the person's projects; for everybody else the sign-in form.

import * as api from "./api.js";
import { Busy, Field, Frame, Problem, html, mount, nextPage, useAction, useLoad, useState } from "./ui.js";

function Home() {
  const session = useLoad(() => api.get("/api/session"), []);
  if (session.error) return html`<${Frame} title="Crowd"><${Problem} error=${session.error} onRetry=${session.reload} /><//>`;
  if (session.loading) return html`<${Frame}><${Busy} /><//>`;
  if (session.value.user) return html`<${Projects} user=${session.value.user} />`;
  return html`<${SignInForm} />`;
}

function SignInForm() {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [signIn, { busy, error }] = useAction(async () => {
    await api.post("/api/session", { name, password });
    location.assign(nextPage());
  });
  const submit = (event) => {
    event.preventDefault();
    signIn();
  };
  return html`<${Frame} title="Sign in" narrow>
    <form onSubmit=${submit}>
      <${Problem} error=${error} fields=${["name", "password"]} />
      <${Field} name="name" label="Name" error=${error}>
        ${(field) =>
          html`<input ...${field} required autocomplete="username" value=${name} onInput=${(event) => setName(event.target.value)} />`}
      <//>
      <${Field} name="password" label="Password" error=${error}>
        ${(field) =>
          html`<input ...${field} type="password" required autocomplete="current-password" value=${password}
            onInput=${(event) => setPassword(event.target.value)} />`}
      <//>
      <button type="submit" aria-busy=${busy} disabled=${busy}>Sign in</button>
    </form>
    <p class="muted">Were you given a link? Open it: it signs you in by itself, or lets you join a project without a password.</p>
  <//>`;
}

function Projects({ user }) {
  const projects = useLoad(() => api.all("/api/projects"), []);
  const create = user.may_create_projects && html`<a role="button" href="/projects/new/">New project</a>`;
  return html`<${Frame} user=${user} title="Projects" aside=${create}>
    <${Problem} error=${projects.error} onRetry=${projects.reload} />
    ${projects.loading && html`<${Busy} />`}
    ${projects.value?.length === 0 &&
    html`<p>
      ${user.may_create_projects
        ? "No project yet. Make the first one: a name, the labels, and a file of tasks is all it takes."
        : "You are in no project yet. A project's manager can send you a link to join."}
    </p>`}
    <ul class="projects">${projects.value?.map((project) => html`<${ProjectCard} key=${project.id} project=${project} />`)}</ul>
  <//>`;
}

function ProjectCard({ project }) {
  const annotate = `/annotate/?project=${project.id}`;
  const review = `/projects/${project.id}/review/`;
  const exported = `/api/projects/${project.id}/consensus`;
  return html`<li>
    <article>
      <h2>
        ${project.role === "manager" && html`<a href="/projects/${project.id}/">${project.name}</a>`}
        ${project.role === "annotator" && html`<a href=${annotate}>${project.name}</a>`}
        ${project.role === "reviewer" && html`<a href=${review}>${project.name}</a>`} ${project.role === "consumer" && project.name}
      </h2>
      <p class="muted">
        <span class="badge ${project.status}">${project.status}</span> you are ${project.role === "annotator" ? "an" : "a"} ${project.role}, ${" "}
        ${project.labels.length} labels
      </p>
      <p class="actions">
        ${project.role === "manager" && html`<a href="/projects/${project.id}/">Manage</a>`}
        ${["manager", "annotator"].includes(project.role) && html`<a href=${annotate}>Annotate</a>`}
        ${project.role === "reviewer" && html`<a href=${review}>Review</a>`}
        ${project.role === "consumer" &&
        html`<a href="${exported}.csv" download>Consensus as CSV</a> <a href="${exported}.jsonl" download>Consensus as JSONL</a>`}
      </p>
    </article>
  </li>`;
}

mount(Home);
