// Headers of a batch: one of them as a column, or all of them as a table.

import { Packed } from "./packed.js";

/** One header, chosen by name, of every event. */
export class HeaderColumn {
  #texts;
  #missing;

  constructor(values, missing) {
    this.values = values;
    this.missing = missing;
  }

  static fromHost(column) {
    return new HeaderColumn(new Packed(column.values.bytes, column.values.ends), column.missing);
  }

  get length() {
    return this.values.length;
  }

  /** The value in one row; undefined where there is none. */
  get(row) {
    return this.texts()[row];
  }

  has(row) {
    this.#missing ??= new Set(this.missing);
    return !this.#missing.has(row);
  }

  /** The values of all rows; undefined where there is none. Made once. */
  texts() {
    if (this.#texts === undefined) {
      this.#texts = this.values.texts();
      for (const row of this.missing) this.#texts[row] = undefined;
    }
    return this.#texts;
  }

  /** The rows that have one of these values, ascending. */
  rowsWith(...values) {
    const wanted = new Set(values);
    const rows = [];
    this.texts().forEach((text, row) => {
      if (wanted.has(text)) rows.push(row);
    });
    return rows;
  }
}

/** All headers of a list of events. */
export class Headers {
  #rows;

  constructor(table) {
    this.names = table.names;
    this.table = table;
  }

  get length() {
    return this.table.counts.length;
  }

  /** The headers of one event as a Map, in its order. */
  row(row) {
    this.#rows ??= this.#read();
    return this.#rows[row];
  }

  get(row, name) {
    return this.row(row).get(name);
  }

  #read() {
    const { names, counts, nameIds, values } = this.table;
    const texts = new Packed(values.bytes, values.ends).texts();
    let at = 0;
    return Array.from(counts, (count) => {
      const headers = new Map();
      for (const end = at + count; at < end; at += 1) headers.set(names[nameIds[at]], texts[at]);
      return headers;
    });
  }
}
