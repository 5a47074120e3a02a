import assert from "node:assert/strict";
import { test } from "node:test";

import { configure, poll, shown } from "@millrace/plugin/testing";
import * as counter from "../src/plugin.js";

const asked = (limits) => {
  const { events, position, pace } = poll(counter, limits);
  const bodies = events.map((event) => shown(event).body);
  return { bodies, position: position && new TextDecoder().decode(position), pace };
};

test("numbers come some at a time, and the last ones end it", () => {
  configure(counter, { from: 3, to: 7, "at-once": 3, "every-ms": 500 });
  counter.source.open(undefined);
  assert.deepEqual(asked(), { bodies: ["3", "4", "5"], position: "6", pace: { afterMs: 500 } });
  assert.deepEqual(asked(), { bodies: ["6", "7"], position: "8", pace: "end" });
  assert.deepEqual(asked(), { bodies: [], position: undefined, pace: "end" });
});

test("it goes on behind the position that was committed", () => {
  configure(counter, {});
  counter.source.open(new TextEncoder().encode("42"));
  assert.deepEqual(asked({ eventsMax: 2 }).bodies, ["42", "43"]);
});

test("mistakes in the options are reported together", () => {
  assert.throws(() => configure(counter, { from: -1, "at-once": 0 }), ({ issues }) => issues.length === 2);
});
