// Stands for a batch of the agent in tests: the methods of the interface over a list of events.

import { Events } from "../events.js";
import { Packed } from "../packed.js";

export class HeldBatch {
  #events;

  constructor(events) {
    this.#events = events;
  }

  /** Turns events that cross the boundary back into a list. */
  static unpack({ headers: { names, counts, nameIds, values }, bodies }) {
    const texts = new Packed(values.bytes, values.ends).texts();
    const packed = new Packed(bodies.bytes, bodies.ends);
    let at = 0;
    return Array.from(counts, (count, row) => {
      const headers = {};
      for (const end = at + count; at < end; at += 1) headers[names[nameIds[at]]] = texts[at];
      return { body: packed.at(row).slice(), headers };
    });
  }

  count() {
    return this.#events.length;
  }
  bodyBytes() {
    return BigInt(this.#events.reduce((sum, { body }) => sum + body.length, 0));
  }
  formedAt() {
    return 1_700_000_000_000_000_000n;
  }
  bodies() {
    return plain(Packed.of(this.#events.map(({ body }) => body)));
  }
  bodiesOf(rows) {
    return plain(Packed.of(Array.from(rows, (row) => this.#row(row).body)));
  }
  headerColumn(name) {
    const missing = [];
    const values = this.#events.map(({ headers }, row) => {
      if (!Object.hasOwn(headers, name)) missing.push(row);
      return headers[name] ?? "";
    });
    return { values: plain(Packed.of(values)), missing: Uint32Array.from(missing) };
  }
  headerNames() {
    return [...new Set(this.#events.flatMap(({ headers }) => Object.keys(headers)))];
  }
  headers() {
    return this.events().headers;
  }
  events() {
    const events = new Events();
    for (const { body, headers } of this.#events) events.push(body, headers);
    return events.finish();
  }
  body(row) {
    return this.#row(row).body.slice();
  }
  bodyPart(row, start, length) {
    return this.#row(row).body.slice(start, start + length);
  }
  header(row, name) {
    return this.#row(row).headers[name];
  }
  event(row) {
    const { body, headers } = this.#row(row);
    return { headers: Object.entries(headers), body: body.slice() };
  }

  #row(row) {
    const event = this.#events[row];
    // The agent ends such a call with a trap.
    if (event === undefined) throw new RangeError(`row ${row} is out of range`);
    return event;
  }
}

const plain = ({ bytes, ends }) => ({ bytes, ends });
