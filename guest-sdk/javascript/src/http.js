// HTTP, carried out by the agent: only origins that the operator granted, no redirects, secrets added by the agent.

import * as host from "#host/http";
import { bytesOf } from "./packed.js";

const utf8 = new TextDecoder();

/** Why there is no response: `kind` is denied, dns, timeout, too-large, invalid or transport. */
export class HttpError extends Error {
  constructor({ tag, val }) {
    super(val === undefined ? `http: ${tag}` : `http: ${tag}: ${val}`);
    this.name = "HttpError";
    this.kind = tag;
  }

  /** Whether the same request may work later. */
  get isTemporary() {
    return ["dns", "timeout", "transport"].includes(this.kind);
  }
}

/** One response, whatever its status. */
export class Response {
  #headers;

  constructor({ status, headers, body }) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  /** Whether the status is 200 to 299. */
  get ok() {
    return this.status >= 200 && this.status < 300;
  }

  /** The first header of this name, which is in lower case, as text. */
  header(name) {
    this.#headers ??= new Map([...this.headers].reverse().map(([key, value]) => [key, utf8.decode(value)]));
    return this.#headers.get(name);
  }

  text() {
    return utf8.decode(this.body);
  }

  json() {
    return JSON.parse(this.text());
  }
}

/**
 * Sends one request and gives the response, whatever its status.
 * `{ url, method = "GET", headers = {}, body, timeoutMs, auth }`; `auth` is the name of a granted secret.
 */
export function send(request) {
  try {
    return new Response(host.send(crossing(request)));
  } catch (error) {
    throw error?.payload?.tag === undefined ? error : new HttpError(error.payload);
  }
}

/** Sends many requests, at most `parallel` at a time. Gives a `Response` or an `HttpError` for each, in their order. */
export function sendMany(requests, parallel = 8) {
  const answers = host.sendMany(requests.map(crossing), parallel);
  return answers.map(({ tag, val }) => (tag === "ok" ? new Response(val) : new HttpError(val)));
}

function crossing(request) {
  const { url, method = "GET", headers = {}, body = new Uint8Array(), timeoutMs, auth } =
    typeof request === "string" ? { url: request } : request;
  const pairs = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
  return {
    method,
    url,
    headers: pairs.map(([name, value]) => [name, bytesOf(value instanceof Uint8Array ? value : String(value))]),
    body: bytesOf(body),
    timeoutMs,
    auth,
  };
}
