// Many byte strings back to back: the form in which bodies cross the boundary, as a view.
//
// The engine interprets, so a loop over bytes costs 150 to 300 ns a turn, and what it does in native code costs next to
// nothing: `subarray`, `set`, `fill`, `indexOf`, a decoder, a regular expression. Everything here is made of those.

const utf8 = new TextDecoder();
const encoder = new TextEncoder();
// What the Encoding Standard calls latin1 gives exactly one character for each byte, and ASCII as it is.
const oneForOne = new TextDecoder("latin1");

/** Byte strings back to back, numbered from 0. */
export class Packed {
  #column;

  constructor(bytes, ends) {
    this.bytes = bytes;
    this.ends = ends;
  }

  /** Makes one of texts and `Uint8Array`s. */
  static of(strings) {
    const parts = [];
    const ends = new Uint32Array(strings.length);
    let length = 0;
    for (const [row, string] of strings.entries()) {
      const part = typeof string === "string" ? encoder.encode(string) : string;
      parts.push(part);
      ends[row] = length += part.length;
    }
    return new Packed(joined(parts, length), ends);
  }

  /** Makes one of texts. */
  static ofTexts(texts) {
    const bytes = encoder.encode(texts.join(""));
    const ends = new Uint32Array(texts.length);
    let length = 0;
    for (const [row, text] of texts.entries()) ends[row] = length += text.length;
    // As many bytes as characters: all of it is ASCII, and what is counted in characters is right in bytes.
    return length === bytes.length ? new Packed(bytes, ends) : Packed.of(texts);
  }

  get length() {
    return this.ends.length;
  }

  /** Where a string begins in `bytes`. */
  start(row) {
    return row === 0 ? 0 : this.ends[row - 1];
  }

  /** One string, as a view into `bytes`. */
  at(row) {
    if (!(row >= 0 && row < this.ends.length)) throw new RangeError(`row ${row} of ${this.ends.length}`);
    return this.bytes.subarray(this.start(row), this.ends[row]);
  }

  /** One string as text; bytes that are no UTF-8 become U+FFFD. */
  text(row) {
    return utf8.decode(this.at(row));
  }

  /** All strings as texts. */
  texts() {
    const { bytes, ends } = this;
    const all = utf8.decode(bytes);
    const texts = new Array(ends.length);
    if (all.length !== bytes.length) {
      for (let row = 0; row < ends.length; row += 1) texts[row] = this.text(row);
      return texts;
    }
    let start = 0;
    for (let row = 0; row < ends.length; row += 1) {
      const end = ends[row];
      texts[row] = all.slice(start, end);
      start = end;
    }
    return texts;
  }

  /**
   * All strings as one text with one character for each byte, so that its offsets are those of `bytes`: for regular
   * expressions over bytes. ASCII is as it is, other bytes become some other character each.
   */
  get column() {
    return (this.#column ??= oneForOne.decode(this.bytes));
  }

  /** The row to which a place in `bytes` belongs. */
  rowAt(offset) {
    const { ends } = this;
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ends[middle] > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /**
   * Calls `found(row, start, end)` for each match of a regular expression in each string; `start` and `end` are places in
   * `bytes`. The expression runs once over everything, over bytes, and a match never crosses a border. It has the flag
   * `g`, and no anchors or look-arounds, which would see the neighbours.
   */
  eachMatch(regex, found) {
    if (!regex.global) throw new TypeError("eachMatch needs a regular expression with the flag g");
    const { ends, column } = this;
    let from = 0;
    for (;;) {
      regex.lastIndex = from;
      const match = regex.exec(column);
      if (match === null) return;
      const start = match.index;
      const end = start + match[0].length;
      const row = this.rowAt(start);
      // A match of nothing behind the last byte.
      if (row === ends.length) return;
      if (end <= ends[row]) {
        if (end > start) found(row, start, end);
        from = end > start ? end : start + 1;
      } else {
        // It goes on in the next string: look again at the rest of this one alone.
        from = ends[row];
        regex.lastIndex = 0;
        for (const alone of column.slice(start, from).matchAll(regex)) {
          const at = start + alone.index;
          if (alone[0].length > 0) found(row, at, at + alone[0].length);
        }
      }
    }
  }

  /** Some of the strings, in the order asked for, as a `Packed` of their own. */
  pick(rows) {
    const ends = new Uint32Array(rows.length);
    let length = 0;
    rows.forEach((row, place) => {
      ends[place] = length += this.ends[row] - this.start(row);
    });
    const bytes = new Uint8Array(length);
    rows.forEach((row, place) => bytes.set(this.at(row), place === 0 ? 0 : ends[place - 1]));
    return new Packed(bytes, ends);
  }

  /** The rows in which the regular expression matches, ascending. */
  rowsMatching(regex) {
    const rows = [];
    this.eachMatch(regex, (row) => {
      if (rows.at(-1) !== row) rows.push(row);
    });
    return rows;
  }

  *[Symbol.iterator]() {
    for (let row = 0; row < this.ends.length; row += 1) yield this.at(row);
  }
}

/** Puts byte strings together that have this length in all. */
export function joined(parts, length) {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Gives bytes as they are, and a text as UTF-8. */
export function bytesOf(value) {
  return typeof value === "string" ? encoder.encode(value) : value;
}
