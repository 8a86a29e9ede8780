// Links that carry a token in the fragment, which no server and no log ever sees.

import { useEffect, useState } from "./ui.js";

/** The token of the link that was opened, also when another link is opened in the same tab. */
export function useToken() {
  const [token, setToken] = useState(readToken);
  useEffect(() => {
    const again = () => setToken(readToken());
    addEventListener("hashchange", again);
    return () => removeEventListener("hashchange", again);
  }, []);
  return token;
}

const readToken = () => location.hash.slice(1);

/** Goes on to a page; the used token stays neither in the address bar nor in the history. */
export function leaveFor(page) {
  history.replaceState(null, "", location.pathname);
  location.replace(page);
}
