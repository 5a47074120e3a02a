// A list of events in the making: what takes the place of a split event, or what a source brings in.
//
// Names of headers are kept once each, and all bodies in one run of bytes: the form that crosses the boundary.

import { bytesOf, joined, Packed } from "./packed.js";

export class Events {
  #names = new Map();
  #counts = [];
  #nameIds = [];
  #values = [];
  #bodies = [];
  #bytes = 0;

  get length() {
    return this.#counts.length;
  }

  /** How large all bodies are together. */
  get bodyBytes() {
    return this.#bytes;
  }

  /** Adds an event: a body (text or bytes), and headers as an object, a Map or pairs. */
  push(body, headers) {
    const bytes = bytesOf(body);
    this.#bodies.push(bytes);
    this.#bytes += bytes.length;
    let count = 0;
    for (const [name, value] of entries(headers)) {
      let id = this.#names.get(name);
      if (id === undefined) this.#names.set(name, (id = this.#names.size));
      this.#nameIds.push(id);
      this.#values.push(String(value));
      count += 1;
    }
    this.#counts.push(count);
  }

  /** The form that crosses the boundary. */
  finish() {
    const ends = new Uint32Array(this.#bodies.length);
    let length = 0;
    for (const [row, body] of this.#bodies.entries()) ends[row] = length += body.length;
    const { bytes, ends: valueEnds } = Packed.ofTexts(this.#values);
    return {
      headers: {
        names: [...this.#names.keys()],
        counts: Uint32Array.from(this.#counts),
        nameIds: Uint32Array.from(this.#nameIds),
        values: { bytes, ends: valueEnds },
      },
      bodies: { bytes: joined(this.#bodies, length), ends },
    };
  }
}

function entries(headers) {
  if (headers === undefined || headers === null) return [];
  return Symbol.iterator in headers ? headers : Object.entries(headers);
}
