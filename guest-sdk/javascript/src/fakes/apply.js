// Applies edits as the interface says, rule by rule. Slow and plain on purpose: it is what tests trust.

import { Packed } from "../packed.js";
import { HeldBatch } from "./batch.js";

const strict = new TextDecoder("utf-8", { fatal: true });

/** What became of the events, or an Error that names the rule which the edits break. */
export function apply(events, edits) {
  const rows = events.map((event) => ({ events: [copy(event)], ended: undefined, channel: undefined }));
  for (const { tag, val } of edits) kinds[tag](rows, val);
  const outcome = { kept: [], dropped: [], routed: {}, rejected: {} };
  rows.forEach((row, number) => {
    if (row.ended === "dropped") outcome.dropped.push(events[number]);
    else if (row.ended?.reason !== undefined) (outcome.rejected[row.ended.reason] ??= []).push(events[number]);
    else if (row.channel !== undefined) (outcome.routed[row.channel] ??= []).push(...row.events);
    else outcome.kept.push(...row.events);
  });
  return outcome;
}

const kinds = {
  drop: (rows, numbers) => each(rows, numbers, (row) => (row.ended = "dropped")),
  reject: (rows, { label, rows: numbers }) => each(rows, numbers, (row) => (row.ended = { reason: label })),
  route: (rows, { label, rows: numbers }) => each(rows, numbers, (row) => (row.channel = label)),
  "set-bodies": (rows, { rows: numbers, bodies }) => {
    const packed = checked(bodies, numbers.length);
    each(rows, numbers, (row, place) => row.events.forEach((event) => (event.body = packed.at(place).slice())));
  },
  "set-header": (rows, { name, rows: numbers, values }) => {
    const isShared = values.ends.length === 1;
    const texts = textsOf(values, isShared ? 1 : numbers.length);
    each(rows, numbers, (row, place) => setHeader(row, name, texts[isShared ? 0 : place]));
  },
  "set-header-on-all": (rows, [name, value]) => there(rows).forEach((row) => setHeader(row, name, value)),
  "remove-header": (rows, { name, rows: numbers }) => each(rows, numbers, (row) => removeHeader(row, name)),
  "remove-header-on-all": (rows, name) => there(rows).forEach((row) => removeHeader(row, name)),
  split: (rows, { rows: numbers, counts, events }) => {
    if (counts.length !== numbers.length) throw new Error("a split needs one count for each row");
    const total = counts.reduce((sum, count) => sum + count, 0);
    checked(events.bodies, total);
    const parts = HeldBatch.unpack(events);
    if (parts.length !== total) throw new Error("a split needs headers for each event");
    each(rows, numbers, (row, place) => {
      row.events = parts.splice(0, counts[place]);
      row.ended = "split";
    });
  },
};

/** Changes the named rows, after checking that they ascend, are in range and still there. */
function each(rows, numbers, change) {
  if (!(numbers instanceof Uint32Array)) throw new Error("rows are no Uint32Array");
  numbers.forEach((number, place) => {
    if (place > 0 && numbers[place - 1] >= number) throw new Error(`rows do not ascend: ${numbers}`);
    const row = rows[number];
    if (row === undefined) throw new Error(`row ${number} is out of range`);
    if (row.ended !== undefined) throw new Error(`row ${number} has ended already`);
    change(row, place);
  });
}

const there = (rows) => rows.filter(({ ended }) => ended === undefined || ended === "split");
const setHeader = (row, name, value) => {
  if (name === "") throw new Error("a header without a name");
  row.events.forEach(({ headers }) => (headers[name] = value));
};
const removeHeader = (row, name) => row.events.forEach(({ headers }) => delete headers[name]);
const copy = ({ body, headers }) => ({ body: body.slice(), headers: { ...headers } });

function checked({ bytes, ends }, count) {
  const isAscending = ends.every((end, row) => row === 0 || ends[row - 1] <= end);
  if (ends.length !== count || !isAscending || (ends.at(-1) ?? 0) !== bytes.length) {
    throw new Error(`expected ${count} strings, got ${ends.length} that do not add up`);
  }
  return new Packed(bytes, ends);
}

function textsOf(values, count) {
  return [...checked(values, count)].map((value) => strict.decode(value));
}
