// "/join#<token>": an invite. A name is all it asks.

import * as api from "./api.js";
import { leaveFor, useToken } from "./links.js";
import { Busy, Field, Frame, Problem, html, mount, useAction, useLoad, useState } from "./ui.js";

function Join() {
  const token = useToken();
  const session = useLoad(() => api.get("/api/session"), []);
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [join, { busy, error }] = useAction(async (person) => {
    const joined = await api.post("/api/join", { invite: token, ...person });
    leaveFor(firstPage(joined));
  });
  if (!token) {
    return html`<${Frame} title="Join a project" narrow>
      <p>This link is not complete: the part after <code>#</code> is missing. Ask for the whole link.</p>
    <//>`;
  }
  if (session.error) return html`<${Frame} title="Join a project"><${Problem} error=${session.error} onRetry=${session.reload} /><//>`;
  if (session.loading) return html`<${Frame}><${Busy} /><//>`;
  const user = session.value.user;
  if (user) {
    return html`<${Frame} user=${user} title="Join a project" narrow>
      <p>You are signed in as <strong>${user.name}</strong>.</p>
      <button onClick=${() => join({})} aria-busy=${busy} disabled=${busy}>Join as ${user.name}</button>
      <${Problem} error=${error} />
    <//>`;
  }
  const submit = (event) => {
    event.preventDefault();
    join(password ? { name, password } : { name });
  };
  return html`<${Frame} title="Join a project" narrow>
    <p>You have been invited to help. How shall we call you?</p>
    <form onSubmit=${submit}>
      <${Problem} error=${error} fields=${["name", "password"]} />
      <${Field} name="name" label="Your name" hint="The project's manager sees it." error=${error}>
        ${(field) =>
          html`<input ...${field} required autofocus autocomplete="username" value=${name} onInput=${(event) => setName(event.target.value)} />`}
      <//>
      <${Field} name="password" label="Password (optional)" hint="Only needed to sign in on another device." error=${error}>
        ${(field) =>
          html`<input ...${field} type="password" autocomplete="new-password" value=${password}
            onInput=${(event) => setPassword(event.target.value)} />`}
      <//>
      <button type="submit" aria-busy=${busy} disabled=${busy}>Join</button>
    </form>
  <//>`;
}

const firstPage = ({ role, project }) =>
  ({ reviewer: `/projects/${project}/review/`, annotator: `/annotate/?project=${project}`, manager: `/projects/${project}/` })[role] ?? "/";

mount(Join);
