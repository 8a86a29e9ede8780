// The REST API as the pages use it: JSON in and out, one kind of error. Nothing here knows about the screen.

const UNSAFE = new Set(["POST", "PUT", "PATCH", "DELETE"]);
const TIMEOUT_MS = 30_000;

/** What went wrong, in the API's own words: `code`, `detail`, and `errors` that name fields. Status 0: no answer came. */
export class ApiError extends Error {
  constructor(status, { code, detail, errors } = {}) {
    super(detail || "The server gave an answer that this page does not understand.");
    this.status = status;
    this.code = code || "unknown";
    this.errors = Array.isArray(errors) ? errors : [];
  }

  /** Trying the same request again later may help. */
  get passing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** Server time minus this machine's time, in milliseconds, so that the end of a lease is judged by the server's clock. */
let clockOffset = 0;
export const serverNow = () => Date.now() + clockOffset;

export const get = (path) => request("GET", path);
export const post = (path, body = {}, options = {}) => request("POST", path, body, options);
export const put = (path, body) => request("PUT", path, body);
export const patch = (path, body) => request("PATCH", path, body);
export const remove = (path) => request("DELETE", path);

/** Every entry of a cursor-paginated list. */
export async function all(path) {
  const entries = [];
  let cursor = null;
  do {
    const page = await get(withQuery(path, { limit: 1000, cursor }));
    entries.push(...page.results);
    cursor = page.next;
  } while (cursor);
  return entries;
}

export function withQuery(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value != null) query.set(name, value);
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** Sends a file as it lies on disk, telling `onProgress` the share that has been sent (fetch cannot tell). */
export function upload(path, file, contentType, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", contentType);
    request.setRequestHeader("X-CSRFToken", csrfToken());
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () =>
      reject(
        new ApiError(0, {
          code: "not_sent",
          detail: "The file could not be sent. Is the server running? If you changed the file after choosing it, choose it again.",
        }),
      );
    request.onload = () => {
      const body = parsed(request.responseText);
      if (request.status >= 200 && request.status < 300) resolve(body);
      else reject(new ApiError(request.status, body ?? withoutBody(request.status)));
    };
    request.send(file);
  });
}

async function request(method, path, body, { keepalive = false, mayRetry = true } = {}) {
  const headers = { Accept: "application/json" };
  const token = csrfToken();
  if (UNSAFE.has(method)) headers["X-CSRFToken"] = token;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      headers,
      keepalive,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await response.text();
  } catch {
    throw new ApiError(0, { code: "no_answer", detail: "The server does not answer. Check the connection." });
  }
  const sentAt = Date.parse(response.headers.get("Date") ?? "");
  if (sentAt) clockOffset = sentAt - Date.now();
  if (response.ok) return parsed(text);
  if (response.status === 403 && UNSAFE.has(method) && mayRetry) {
    // Signing in from another tab renews the token of this one.
    await get("/api/session");
    if (csrfToken() !== token) return request(method, path, body, { keepalive, mayRetry: false });
  }
  throw new ApiError(response.status, parsed(text) ?? withoutBody(response.status));
}

function csrfToken() {
  return document.cookie.match(/(?:^|; )crowd_csrf=([^;]*)/)?.[1] ?? "";
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const withoutBody = (status) => ({ code: `http_${status}`, detail: `The server answered with status ${status}.` });
