// "/sign-in#<token>": a link that signs in once. Only the click uses it up, so that a preview of the link does not.

import * as api from "./api.js";
import { leaveFor, useToken } from "./links.js";
import { Frame, Problem, html, mount, useAction } from "./ui.js";

function SignIn() {
  const token = useToken();
  const [signIn, { busy, error }] = useAction(async () => {
    await api.get("/api/session");
    await api.post("/api/session", { link: token });
    leaveFor("/");
  });
  if (!token) {
    return html`<${Frame} title="Sign in" narrow>
      <p>This link is not complete: the part after <code>#</code> is missing. Copy the whole link, or <a href="/">sign in with a password</a>.</p>
    <//>`;
  }
  return html`<${Frame} title="Welcome" narrow>
    <p>This link signs you in on this device. It works once.</p>
    <button onClick=${signIn} aria-busy=${busy} disabled=${busy} autofocus>Sign in</button>
    <${Problem} error=${error} />
    ${error && html`<p><a href="/">Sign in with a password instead</a></p>`}
  <//>`;
}

mount(SignIn);
