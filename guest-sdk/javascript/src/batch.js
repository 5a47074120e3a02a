// The batch that the agent lends for one call. What is not read is not copied.

import { HeaderColumn, Headers } from "./headers.js";
import { Packed } from "./packed.js";

const packed = ({ bytes, ends }) => new Packed(bytes, ends);
const rowNumbers = (rows) => (rows instanceof Uint32Array ? rows : Uint32Array.from(rows));

export class Batch {
  #host;
  #count;
  #bodies;
  #headers;

  /** `host` is the handle of the agent, or what stands for it in a test. */
  constructor(host) {
    this.#host = host;
  }

  /** How many events there are. */
  get count() {
    return (this.#count ??= this.#host.count());
  }

  /** The size of all bodies together. */
  get bodyBytes() {
    return Number(this.#host.bodyBytes());
  }

  /** When the agent formed the batch, in nanoseconds since 1970, as a BigInt. The same when the batch is tried again. */
  get formedAt() {
    return this.#host.formedAt();
  }

  /** The same as a Date. */
  get formedAtDate() {
    return new Date(Number(this.formedAt / 1_000_000n));
  }

  /** All bodies. Copied once. */
  bodies() {
    return (this.#bodies ??= packed(this.#host.bodies()));
  }

  /** The bodies of some rows, in the order asked for. */
  bodiesOf(rows) {
    return packed(this.#host.bodiesOf(rowNumbers(rows)));
  }

  /** One header of every event. */
  headerColumn(name) {
    return HeaderColumn.fromHost(this.#host.headerColumn(name));
  }

  /** The header names that occur, each once. */
  headerNames() {
    return this.#host.headerNames();
  }

  /** All headers of all events. Copied once. */
  headers() {
    return (this.#headers ??= new Headers(this.#host.headers()));
  }

  /** All headers and all bodies, in one call. */
  events() {
    if (this.#headers === undefined || this.#bodies === undefined) {
      const { headers, bodies } = this.#host.events();
      this.#headers = new Headers(headers);
      this.#bodies = packed(bodies);
    }
    return { headers: this.#headers, bodies: this.#bodies };
  }

  /** The body of one row. A call of its own: for a few rows of many. */
  body(row) {
    return this.#host.body(row);
  }

  /** A part of the body of one row, cut short where the body ends. */
  bodyPart(row, start, length) {
    return this.#host.bodyPart(row, start, length);
  }

  /** One header of one row; undefined where the event does not have it. */
  header(row, name) {
    return this.#host.header(row, name) ?? undefined;
  }

  /** One whole event. */
  event(row) {
    const { headers, body } = this.#host.event(row);
    return { headers: new Map(headers), body };
  }
}
