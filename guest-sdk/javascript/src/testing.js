// Runs a plugin on the machine it is written on, without an agent: batches from events, edits applied by the rules of the
// interface, and a log, a clock, a state and an HTTP service of your own.

import { Batch } from "./batch.js";
import { Events } from "./events.js";
import * as clock from "./fakes/clock.js";
import * as http from "./fakes/http.js";
import * as log from "./fakes/log.js";
import * as metrics from "./fakes/metrics.js";
import * as state from "./fakes/state.js";
import { apply } from "./fakes/apply.js";
import { HeldBatch } from "./fakes/batch.js";
import { bytesOf } from "./packed.js";

const utf8 = new TextDecoder();

/** An event with a body (text or bytes) and headers. */
export const event = (body, headers = {}) => ({ body: bytesOf(body), headers: { ...headers } });

/** An event as text, easy to compare. */
export const shown = ({ body, headers }) => ({ body: utf8.decode(body), headers });

/** A batch of events. */
export const batch = (events) => new Batch(new HeldBatch(events));

/** Configures a plugin: `exports` is what `plugin(…)` returned. Throws `Invalid` with the issues. */
export function configure(exports, config = {}, instance = {}) {
  const whole = { agent: "test", component: "test", lane: 0, lanes: 1, generation: 1n, ...instance };
  return exports.lifecycle.configure(JSON.stringify(config), whole);
}

/** Passes events through an interceptor: what was kept, dropped, routed and rejected. */
export function intercept(exports, events) {
  const edits = exports.interceptor.intercept(new HeldBatch(events));
  return typeof edits.then === "function" ? edits.then((list) => apply(events, list)) : apply(events, edits);
}

/** Passes events to a sink: "delivered", or the rows it refused. */
export function deliver(exports, events, delivery = {}) {
  const outcome = exports.sink.deliver(new HeldBatch(events), { id: "delivery-1", attempt: 1, ...delivery });
  return outcome.tag === "delivered" ? "delivered" : outcome.val;
}

/** Asks a source once: its events, position and pace. */
export function poll(exports, { eventsMax = 1000, bytesMax = 1 << 20 } = {}) {
  const { events, position, pace } = exports.source.poll(eventsMax, bytesMax);
  return { events: HeldBatch.unpack(events), position, pace: pace.tag === "after" ? { afterMs: pace.val } : pace.tag };
}

/** Forgets log lines, metrics, state and requests, and sets the clock back. */
export function reset() {
  log.lines.length = 0;
  metrics.recorded.length = 0;
  state.entries.clear();
  http.requests.length = 0;
  http.service.answer = undefined;
  clock.time.unixNanos = 1_700_000_000_000_000_000n;
  clock.time.monotonicNanos = 0n;
}

/** Answers requests: `answer(request)` gives `{ status, headers, body }`, or `{ error: "timeout" }`. */
export function serve(answer) {
  http.service.answer = answer;
}

export { apply, Events };
export const logged = log.lines;
export const recorded = metrics.recorded;
export const requests = http.requests;
export const stored = state.entries;
export const advance = clock.advance;
