// From a definition to what a component exports.
//
// The wrappers turn handles into views and builders into columns. They let failures pass and log everything else that is
// thrown with its stack before it ends the call with a trap: a component without WASI has no other place to say so.

import { Batch } from "./batch.js";
import { Edits } from "./edits.js";
import { Events } from "./events.js";
import { Failure, Invalid } from "./failure.js";
import * as log from "./log.js";
import { bytesOf, Packed } from "./packed.js";

/**
 * Makes the exports of a component of a definition: an object with `configure`, `stop` and the methods of a role.
 * Take those that the world has: `export const { lifecycle, interceptor } = plugin({ … })`.
 */
export function plugin(definition) {
  return {
    lifecycle: lifecycle(definition),
    interceptor: interceptor(definition),
    source: source(definition),
    sink: sink(definition),
    codec: codec(definition),
    handover: handover(definition),
  };
}

function lifecycle(definition) {
  return {
    configure: (config, instance) =>
      guarded("configure", () => definition.configure?.(JSON.parse(config), instance), () => undefined),
    stop: (deadlineMs) => guarded("stop", () => definition.stop?.(deadlineMs), () => undefined),
  };
}

function interceptor(definition) {
  return {
    intercept(handle) {
      const edits = new Edits();
      return guarded("intercept", () => definition.intercept(new Batch(handle), edits), () => edits.finish());
    },
  };
}

function source(definition) {
  return {
    open: (position) => guarded("open", () => definition.open?.(position ?? undefined), () => undefined),
    poll(eventsMax, bytesMax) {
      const events = new Events();
      const poll = () => definition.poll({ eventsMax, bytesMax }, events);
      return guarded("poll", poll, ({ position, pace = "now" } = {}) => ({
        events: events.finish(),
        position: position === undefined ? undefined : bytesOf(position),
        pace: typeof pace === "string" ? { tag: pace } : { tag: "after", val: pace.afterMs },
      }));
    },
    committed: (position) => guarded("committed", () => definition.committed?.(position), () => undefined),
  };
}

function sink(definition) {
  return {
    deliver(handle, delivery) {
      const refused = new Refused();
      const deliver = () => definition.deliver(new Batch(handle), delivery, refused);
      return guarded("deliver", deliver, () => refused.finish());
    },
  };
}

function codec(definition) {
  return {
    frame: (bytes, atEnd) =>
      guarded("frame", () => definition.frame(bytes, atEnd), ({ ends, wanted = 0 }) => ({
        ends: Uint32Array.from(ends),
        wanted,
      })),
    decode: (frames) =>
      guarded("decode", () => definition.decode(new Packed(frames.bytes, frames.ends)), ({ events, counts, refused = [] }) => ({
        events: events.finish(),
        counts: Uint32Array.from(counts),
        refused: refused.map(({ frame, reason }) => ({ frame, failure: { tag: "reject", val: String(reason) } })),
      })),
    encode: (handle) =>
      guarded("encode", () => definition.encode(new Batch(handle)), ({ bytes, ends }) => ({ bytes, ends })),
  };
}

/** A definition without `save` hands nothing over, and one without `restore` starts afresh. */
function handover(definition) {
  const nothing = { schema: "", version: 0, data: new Uint8Array() };
  return {
    save: () =>
      guarded("save", () => definition.save?.(), (snapshot) =>
        snapshot === undefined ? nothing : { ...snapshot, data: bytesOf(snapshot.data) },
      ),
    restore: (snapshot) =>
      guarded("restore", () => {
        try {
          return definition.restore?.(snapshot);
        } catch (error) {
          // The answer of the interface is a text; the agent goes on with the old instance.
          if (error instanceof Refusal) throw Object.assign(error, { payload: error.message });
          throw error;
        }
      }, () => undefined),
  };
}

/** Thrown by `restore`: the new instance does not understand what the old one left, and the old one goes on. */
export class Refusal extends Error {}

/** The rows that a sink did not take. The others count as delivered. */
export class Refused {
  #rows = new Map();

  /** The row comes again, under another delivery, not before so many milliseconds. */
  retry(row, afterMs) {
    this.#rows.set(row, { tag: "retry", val: afterMs });
  }

  /** The row goes to the dead-letter channel, with this reason. */
  reject(row, reason) {
    this.#rows.set(row, { tag: "reject", val: String(reason) });
  }

  finish() {
    if (this.#rows.size === 0) return { tag: "delivered" };
    const rows = [...this.#rows].sort(([a], [b]) => a - b);
    return { tag: "partial", val: rows.map(([row, failure]) => ({ row, failure })) };
  }
}

/** Calls, turns the result into what crosses, and logs what is thrown unless it is an answer. Also for promises. */
function guarded(name, call, answer) {
  try {
    const result = call();
    if (typeof result?.then === "function") {
      return result.then(answer).catch((error) => {
        throw told(name, error);
      });
    }
    return answer(result);
  } catch (error) {
    throw told(name, error);
  }
}

function told(name, error) {
  const isAnswer = error instanceof Failure || error instanceof Invalid || error instanceof Refusal;
  if (isAnswer) return error;
  const lines = error instanceof Error ? `${error}\n${error.stack ?? ""}` : `thrown: ${String(error)}`;
  log.error(`${name}: ${lines.trimEnd()}`);
  // What is no Error would be taken for an answer.
  return error instanceof Error && !Object.hasOwn(error, "payload") ? error : new Error(String(error));
}
