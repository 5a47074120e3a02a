import assert from "node:assert/strict";
import { test } from "node:test";

import { configure, event, intercept, shown } from "@millrace/plugin/testing";
import * as redact from "../src/plugin.js";

const pass = (config, ...bodies) => {
  configure(redact, config);
  return intercept(redact, bodies.map((body) => event(body))).kept.map(shown);
};

test("runs of 13 to 19 digits keep their last four", () => {
  assert.deepEqual(pass({}, "card 4111111111111111 and 4222222222222.", "nothing"), [
    { body: "card ############1111 and #########2222.", headers: { redacted: "2" } },
    { body: "nothing", headers: {} },
  ]);
});

test("runs of any other length stay", () => {
  const bodies = ["123456789012", "12345678901234567890", "", "1234 5678 9012 3456"];
  assert.deepEqual(pass({}, ...bodies).map(({ body }) => body), bodies);
});

test("digits of neighbours are no run", () => {
  assert.deepEqual(pass({}, "1234567", "890123456", "1234567890123").map(({ body }) => body), [
    "1234567",
    "890123456",
    "#########0123",
  ]);
});

test("bytes that are no text stay as they are", () => {
  configure(redact, { mask: "*", keep: 0 });
  const body = new Uint8Array([0xff, 0x80, ...new TextEncoder().encode("1234567890123"), 0x00, 0x9f]);
  const [{ body: masked }] = intercept(redact, [event(body)]).kept;
  assert.deepEqual([...masked], [0xff, 0x80, ...Array(13).fill(0x2a), 0x00, 0x9f]);
});

test("mistakes in the options are reported together", () => {
  assert.throws(() => configure(redact, { mask: "##", keep: 14, maks: 1 }), ({ issues }) => {
    assert.deepEqual(issues.map(({ path }) => path), ["/mask", "/keep", "/maks"]);
    return true;
  });
});
