// Collects what should change, row by row, and turns it into columns.
//
// All rows that get the same header share one edit, all new bodies one run of bytes, and so on. Changes to one header, or
// to bodies, are sent in the order in which they were made. What ends an event (drop, split, reject) is sent behind what
// changes it, so a row may be changed and dropped in any order. The rows of each edit ascend.

import { Events } from "./events.js";
import { bytesOf, joined, Packed } from "./packed.js";

export class Edits {
  // Edits that still grow, as { kind, rows, … }, and edits that are done, as { edit }.
  #changes = [];
  // The newest edit of bodies, the newest route, and the newest edit of each header: what a further row may join.
  #bodies;
  #route;
  #headers = new Map();
  #drops = [];
  #splits = { rows: [], counts: [], events: new Events() };
  #rejects = new Map();

  get isEmpty() {
    return (
      this.#changes.length === 0 &&
      this.#drops.length === 0 &&
      this.#splits.rows.length === 0 &&
      this.#rejects.size === 0
    );
  }

  /** Drops an event. */
  drop(row) {
    this.#drops.push(row);
  }

  /** Drops many events. */
  dropRows(rows) {
    for (const row of rows) this.#drops.push(row);
  }

  /** Replaces a body by a text or bytes. */
  setBody(row, body) {
    const bytes = bytesOf(body);
    if (!mayFollow(this.#bodies, row)) {
      this.#bodies = { kind: "bodies", rows: [], parts: [] };
      this.#changes.push(this.#bodies);
    }
    const { rows, parts } = this.#bodies;
    if (rows.at(-1) === row) {
      parts[parts.length - 1] = bytes;
    } else {
      rows.push(row);
      parts.push(bytes);
    }
  }

  /** Replaces the bodies of some rows, which ascend, by those of a `Packed`. */
  setBodies(rows, bodies) {
    if (rows.length !== bodies.length) throw new RangeError(`${bodies.length} bodies for ${rows.length} rows`);
    if (rows.length === 0) return;
    this.#bodies = undefined;
    this.#done("set-bodies", { rows: rowNumbers(rows), bodies: plain(bodies) });
  }

  /** Replaces the bodies of rows 0, 1, 2, … by these. */
  setAllBodies(bodies) {
    this.setBodies(Uint32Array.from({ length: bodies.length }, (_, row) => row), bodies);
  }

  /** Sets a header of one event; an older value is replaced. */
  setHeader(row, name, value) {
    const text = String(value);
    let change = this.#headers.get(name);
    if (change?.kind !== "header" || !mayFollow(change, row)) {
      change = { kind: "header", name, rows: [], values: [] };
      this.#headers.set(name, change);
      this.#changes.push(change);
    }
    if (change.rows.at(-1) === row) {
      change.values[change.values.length - 1] = text;
    } else {
      change.rows.push(row);
      change.values.push(text);
    }
  }

  /** Sets a header on some rows, which ascend, to a value each. */
  setHeaders(rows, name, values) {
    if (rows.length !== values.length) throw new RangeError(`${values.length} values for ${rows.length} rows`);
    if (rows.length === 0) return;
    this.#headers.delete(name);
    const texts = values instanceof Packed ? values : Packed.ofTexts(values.map(String));
    this.#done("set-header", { name, rows: rowNumbers(rows), values: plain(texts) });
  }

  /** Sets a header to the same value on some rows, which ascend. */
  setHeaderRows(rows, name, value) {
    if (rows.length === 0) return;
    this.#headers.delete(name);
    this.#done("set-header", { name, rows: rowNumbers(rows), values: plain(Packed.ofTexts([String(value)])) });
  }

  /** Sets a header on every event that is still there, those from earlier splits included. The cheapest way. */
  setHeaderOnAll(name, value) {
    this.#closeEnded();
    this.#headers.delete(name);
    this.#done("set-header-on-all", [name, String(value)]);
  }

  /** Removes a header of one event. An event without it stays as it is. */
  removeHeader(row, name) {
    let change = this.#headers.get(name);
    if (change?.kind !== "removal" || !mayFollow(change, row)) {
      change = { kind: "removal", name, rows: [] };
      this.#headers.set(name, change);
      this.#changes.push(change);
    }
    if (change.rows.at(-1) !== row) change.rows.push(row);
  }

  /** Removes a header from every event that is still there. */
  removeHeaderOnAll(name) {
    this.#closeEnded();
    this.#headers.delete(name);
    this.#done("remove-header-on-all", name);
  }

  /** Puts other events in the place of one, which `write` adds to the `Events` it gets. Rows must ascend. */
  split(row, write) {
    const { rows, counts, events } = this.#splits;
    const before = events.length;
    write(events);
    rows.push(row);
    counts.push(events.length - before);
  }

  /** Sends an event to a channel that the operator granted, whatever the selector says. The last route counts. */
  route(row, channel) {
    if (this.#route?.label !== channel || !mayFollow(this.#route, row)) {
      this.#route = { kind: "route", label: channel, rows: [] };
      this.#changes.push(this.#route);
    }
    if (this.#route.rows.at(-1) !== row) this.#route.rows.push(row);
  }

  /** Sends an event to the dead-letter channel, with a reason. */
  reject(row, reason) {
    const label = String(reason);
    const rows = this.#rejects.get(label);
    if (rows === undefined) this.#rejects.set(label, [row]);
    else rows.push(row);
  }

  /** Gives the edits in the form that crosses the boundary. */
  finish() {
    this.#closeEnded();
    return this.#changes.map(crossing);
  }

  #done(tag, val) {
    this.#changes.push({ edit: { tag, val } });
  }

  /** Moves what ends events behind the changes made so far. */
  #closeEnded() {
    if (this.#drops.length > 0) {
      this.#done("drop", ascending(this.#drops));
      this.#drops = [];
    }
    const { rows, counts, events } = this.#splits;
    if (rows.length > 0) {
      const val = { rows: rowNumbers(rows), counts: rowNumbers(counts), events: events.finish() };
      this.#done("split", val);
      this.#splits = { rows: [], counts: [], events: new Events() };
    }
    for (const [label, rejected] of this.#rejects) this.#done("reject", { label, rows: ascending(rejected) });
    this.#rejects.clear();
    // A change made from here on must not join one from before.
    this.#headers.clear();
    this.#bodies = undefined;
    this.#route = undefined;
  }
}

function crossing(change) {
  if (change.edit !== undefined) return change.edit;
  const rows = rowNumbers(change.rows);
  switch (change.kind) {
    case "bodies":
      return { tag: "set-bodies", val: { rows, bodies: packedOf(change.parts) } };
    case "header": {
      const { name, values } = change;
      // One value for all rows if they all get the same.
      const shared = values.every((value) => value === values[0]) ? values.slice(0, 1) : values;
      return { tag: "set-header", val: { name, rows, values: plain(Packed.ofTexts(shared)) } };
    }
    case "removal":
      return { tag: "remove-header", val: { name: change.name, rows } };
    default:
      return { tag: "route", val: { label: change.label, rows } };
  }
}

function packedOf(parts) {
  const ends = new Uint32Array(parts.length);
  let length = 0;
  for (let row = 0; row < parts.length; row += 1) ends[row] = length += parts[row].length;
  return { bytes: joined(parts, length), ends };
}

const plain = ({ bytes, ends }) => ({ bytes, ends });
const rowNumbers = (rows) => (rows instanceof Uint32Array ? rows : Uint32Array.from(rows));

/** Whether a row can join an edit without breaking the order of its rows. */
function mayFollow(change, row) {
  return change !== undefined && (change.rows.length === 0 || change.rows.at(-1) <= row);
}

/** Sorts rows and keeps each once. */
function ascending(rows) {
  const sorted = Uint32Array.from(rows).sort();
  return sorted.filter((row, place) => place === 0 || row !== sorted[place - 1]);
}
