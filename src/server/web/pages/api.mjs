// Calls of the API (docs/openapi.yaml), its events, and the admin token, which is kept for the tab.
//
// The token goes into a header and nowhere else. Who is told that it is missing or wrong: `onUnauthorized`.

import { EventReader } from "./events.mjs";
import { pathParameter, withQuery } from "./urls.mjs";

const KEY = "weir-admin-token";
const TIMEOUT = 15_000;
/** The server sends something every second, or a comment every 15 s. */
const SILENCE = 40_000;

export class ApiError extends Error {
  constructor(status, code, reason) {
    super(reason);
    this.status = status;
    this.code = code;
  }
}

/** Some browsers forbid storage: then the token lasts as long as the page. */
let held = "";
try {
  held = sessionStorage.getItem(KEY) ?? "";
} catch {
  // Nothing was kept.
}

export function setToken(text) {
  held = text;
  try {
    sessionStorage.setItem(KEY, text);
  } catch {
    // It is held in memory.
  }
}

const headers = () => (held ? { Authorization: "Bearer " + held } : {});

async function request(method, address, signal) {
  let response;
  try {
    response = await fetch("/api/v1/" + address, { method, headers: headers(), cache: "no-store", signal });
  } catch (error) {
    if (signal.reason?.name === "TimeoutError") throw new ApiError(0, "unreachable", "The server does not answer");
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "No connection to the server");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new ApiError(response.status, body?.error?.code ?? "unknown", body?.error?.reason ?? "The server answers " + response.status);
}

/** The JSON of an answer; null if it has none. */
export async function call(method, address) {
  const response = await request(method, address, AbortSignal.timeout(TIMEOUT));
  return response.status === 204 ? null : response.json();
}

export const kick = (id) => call("DELETE", "connections/" + id);
export const capture = (id, on) => call(on ? "POST" : "DELETE", `connections/${id}/capture`);
export const record = (path, on) => call(on ? "POST" : "DELETE", `streams/${pathParameter(path)}/recording`);
export const list = (what, limit) => call("GET", withQuery(what, "limit=" + limit));

/**
 * Events until they end: resolves when the server closes, rejects with an ApiError or when aborted.
 * @param {string} query
 * @param {(type: string, data: object) => void} onEvent
 */
export async function events(query, signal, onEvent) {
  const silence = new AbortController();
  let timer = 0;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(new DOMException("silence", "TimeoutError")), SILENCE);
  };
  const abort = () => silence.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  heard();
  try {
    const response = await request("GET", withQuery("events", query), silence.signal);
    const body = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const events = new EventReader();
    for (;;) {
      const { done, value } = await body.read();
      if (done) return;
      heard();
      for (const event of events.push(value)) onEvent(event.type, JSON.parse(event.data));
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    silence.abort();
  }
}
