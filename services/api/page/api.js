/** Requests to the API. Every failure is an ApiError whose message can be shown as it is. */

import { askForKey, authorization, currentKey } from "./key.js";
import { messages } from "./sse.js";

export class ApiError extends Error {
  /** @param status 0 when nobody answered. @param retryAfterS when to try again, if the service said so. */
  constructor(status, code, message, retryAfterS = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }

  /** Whether the same request may succeed a little later. */
  get isPassing() {
    // 507: a full disk stays full.
    return this.status === 0 || this.status === 429 || this.code === "no_route" || (this.status >= 502 && this.status !== 507);
  }
}

const unreachable = () =>
  new ApiError(0, "unreachable", "The service does not answer. Check that it runs and that you are online.");

/** Send a request; asks for a key if the service wants one. Resolves only to a success. */
export async function call(path, { headers = {}, ...details } = {}) {
  for (;;) {
    const key = currentKey();
    let response;
    try {
      response = await ask(path, { ...details, headers: { ...headers, ...authorization() } });
    } catch (error) {
      throw error.name === "AbortError" ? error : unreachable();
    }
    if (response.ok) return response;
    if (response.status !== 401 || !(await askForKey(key))) {
      throw toError(response.status, await response.text());
    }
  }
}

/** A network that changes breaks off what is on its way: what only reads is asked for once more. */
async function ask(path, details) {
  try {
    return await fetch(path, details);
  } catch (error) {
    if (error.name === "AbortError" || (details.method ?? "GET") !== "GET") throw error;
    return await fetch(path, details);
  }
}

export const getJson = async (path, details) => (await call(path, details)).json();

export const jobPath = (id, part = "") => `v1/jobs/${encodeURIComponent(id)}${part && `/${part}`}`;

/** Make an Idempotency-Key; not by randomUUID, which there is only with HTTPS. */
export const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("-");

/**
 * Upload one recording; XMLHttpRequest, since fetch cannot tell how far it is. What has been sent whole is
 * not broken off: the service would make a job that nobody knows of. With the same `key` it makes one job,
 * however often the recording is sent.
 */
export async function upload(file, name, fields, { key: idempotencyKey, onProgress, signal }) {
  for (;;) {
    signal.throwIfAborted();
    const key = currentKey();
    const headers = { ...authorization(), "Idempotency-Key": idempotencyKey };
    const { status, text, retryAfterS } = await send(form(file, name, fields), headers, onProgress, signal);
    if (status >= 200 && status < 300) return JSON.parse(text);
    if (status !== 401 || !(await askForKey(key))) throw toError(status, text, retryAfterS);
  }
}

/** What happens to a job until it has ended, over broken connections too: those are told as `failure`. */
export async function* events(id, signal) {
  let lastId = "";
  let pauseMs = 300;
  while (!signal.aborted) {
    try {
      const headers = lastId ? { "Last-Event-ID": lastId } : {};
      const response = await call(jobPath(id, "events"), { headers, signal });
      yield { kind: "answer" };
      for await (const message of messages(response.body)) {
        lastId = message.id || lastId;
        pauseMs = 300;
        if (message.event === "done") return;
        yield { kind: message.event, data: JSON.parse(message.data) };
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && !error.isPassing) throw error;
      // A stream may break off at any time; only who then gets no answer has something to tell.
      if (error instanceof ApiError) yield { kind: "failure", data: error };
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    pauseMs = Math.min(2 * pauseMs, 5000);
  }
}

function form(file, name, fields) {
  const data = new FormData();
  for (const [field, value] of fields) data.append(field, value);
  data.append("file", file, name);
  return data;
}

function send(body, headers, onProgress, signal) {
  const request = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    request.open("POST", "v1/jobs");
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    let isSent = false;
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded / event.total));
    request.upload.addEventListener("load", () => { isSent = true; });
    request.addEventListener("load", () => {
      const retryAfterS = Number(request.getResponseHeader("Retry-After"));
      resolve({ status: request.status, text: request.responseText, retryAfterS });
    });
    request.addEventListener("error", () => reject(unreachable()));
    request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    signal.addEventListener("abort", () => isSent || request.abort(), { once: true });
    request.send(body);
  });
}

const NO_KEY = "This service asks for an API key: give it by the button at the top.";

const TOO_LARGE = "The recording is larger than a proxy before this service lets through.";

function toError(status, text, retryAfterS) {
  // The answer itself is for programs.
  if (status === 401) return new ApiError(status, "invalid_api_key", NO_KEY);
  try {
    const { code, message } = JSON.parse(text).error;
    return new ApiError(status, code, message, retryAfterS);
  } catch {
    // A proxy's own answer, in HTML.
    if (status === 413) return new ApiError(status, "upload_too_large", TOO_LARGE);
    // While the service is made anew a proxy may know of none. The service's own 404 is empty only for a HEAD.
    const code = status === 404 && text ? "no_route" : "unknown";
    return new ApiError(status, code, `The service answered with status ${status}. Try again in a moment.`);
  }
}
