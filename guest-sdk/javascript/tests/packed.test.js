import assert from "node:assert/strict";
import { test } from "node:test";

import { Packed } from "@millrace/plugin";

const utf8 = new TextDecoder();
const matches = (strings, regex) => {
  const packed = Packed.of(strings);
  const found = [];
  packed.eachMatch(regex, (row, start, end) => found.push([row, utf8.decode(packed.bytes.subarray(start, end))]));
  return found;
};

test("strings come back as they went in", () => {
  const packed = Packed.of(["one", "", new Uint8Array([0, 255]), "ä"]);
  assert.deepEqual([...packed.ends], [3, 3, 5, 7]);
  assert.deepEqual([...packed].map((bytes) => [...bytes]), [[111, 110, 101], [], [0, 255], [0xc3, 0xa4]]);
  assert.deepEqual(packed.texts(), ["one", "", "\0\ufffd", "ä"]);
  assert.throws(() => packed.at(4), RangeError);
  assert.throws(() => packed.at(-1), RangeError);
});

test("texts of ASCII and of anything else are packed alike", () => {
  for (const texts of [["a", "", "bc"], ["ä", "b", "🧾"], []]) {
    assert.deepEqual(Packed.ofTexts(texts).texts(), texts);
    assert.deepEqual([...Packed.ofTexts(texts).ends], [...Packed.of(texts).ends]);
  }
});

test("a column has one character for each byte, whatever the byte", () => {
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const { column } = Packed.of([all, all]);
  assert.equal(column.length, 512);
  assert.equal(column.slice(0, 128), String.fromCharCode(...all.subarray(0, 128)));
  assert.equal(new Set(column).size, 256);
});

test("every place belongs to the row that holds it", () => {
  const packed = Packed.of(["ab", "", "", "c", ""]);
  assert.deepEqual([0, 1, 2].map((place) => packed.rowAt(place)), [0, 0, 3]);
});

test("a match never crosses a border, and what is left of it counts", () => {
  assert.deepEqual(matches(["x12", "34", "5x6", "", "7"], /[0-9]+/g), [
    [0, "12"],
    [1, "34"],
    [2, "5"],
    [2, "6"],
    [4, "7"],
  ]);
  assert.deepEqual(matches(["12", "3"], /[0-9]{3}/g), []);
  assert.deepEqual(matches(["ab", "abab", "b"], /ab|abab/g), [[0, "ab"], [1, "ab"], [1, "ab"]]);
});

test("a match of nothing is none, and does not last for ever", () => {
  assert.deepEqual(matches(["ab", "", "b"], /a*/g), [[0, "a"]]);
});

test("offsets hold where bodies are no ASCII", () => {
  assert.deepEqual(matches(["Grüße 17", new Uint8Array([0x80, 0x31, 0xff])], /[0-9]+/g), [[0, "17"], [1, "1"]]);
});

test("matching finds what matching each string alone finds", () => {
  let seed = 7;
  const random = (below) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
  for (let turn = 0; turn < 500; turn += 1) {
    const strings = Array.from({ length: random(8) }, () =>
      Array.from({ length: random(12) }, () => "0011ab\xff"[random(7)]).join(""),
    );
    const expected = strings.flatMap((text, row) => [...text.matchAll(/[01]{2,4}|a+b/g)].map(([match]) => [row, match]));
    const packed = Packed.of(strings.map((text) => Uint8Array.from(text, (char) => char.charCodeAt(0))));
    const found = [];
    packed.eachMatch(/[01]{2,4}|a+b/g, (row, start, end) => found.push([row, packed.column.slice(start, end)]));
    assert.deepEqual(found, expected, JSON.stringify(strings));
  }
});

test("some rows can be picked", () => {
  assert.deepEqual(Packed.of(["a", "bc", "", "d"]).pick([3, 1, 2]).texts(), ["d", "bc", ""]);
  assert.equal(Packed.of(["a"]).pick([]).length, 0);
});

test("rows are found by a regular expression", () => {
  assert.deepEqual(Packed.of(["an error", "fine", "error error"]).rowsMatching(/error/g), [0, 2]);
  assert.throws(() => Packed.of(["a"]).rowsMatching(/a/), TypeError);
});
