import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { configure, deliver, event, requests, reset, serve } from "@millrace/plugin/testing";
import * as post from "../src/plugin.js";

const URL = "https://logs.example.com/in";

beforeEach(() => {
  reset();
  configure(post, { url: URL });
});

const outcome = (answer) => {
  serve(() => answer);
  try {
    return deliver(post, [event("a"), event("")], { id: "batch-7" });
  } catch (error) {
    return error.payload;
  }
};

test("a batch is one request, one event per line, with the delivery as its key", () => {
  assert.equal(outcome({ status: 204 }), "delivered");
  const [{ method, url, headers, body }] = requests;
  assert.deepEqual([method, url, new TextDecoder().decode(body)], ["POST", URL, "a\n\n"]);
  const key = headers.find(([name]) => name === "idempotency-key");
  assert.equal(new TextDecoder().decode(key[1]), "batch-7");
});

test("what may work later is tried again, not before the service wants it", () => {
  assert.deepEqual(outcome({ status: 503 }), { tag: "retry", val: undefined });
  assert.deepEqual(outcome({ status: 429, headers: { "retry-after": "7" } }), { tag: "retry", val: 7000 });
  assert.deepEqual(outcome({ error: "timeout" }), { tag: "retry", val: undefined });
  assert.deepEqual(outcome({ error: "denied" }), { tag: "retry", val: undefined });
});

test("what can never work is rejected with the status", () => {
  assert.deepEqual(outcome({ status: 400 }), { tag: "reject", val: "the service answered 400" });
});

test("an address is required", () => {
  assert.throws(() => configure(post, {}), ({ issues }) => issues[0].reason.startsWith("missing option `url`"));
  assert.throws(() => configure(post, { url: "logs" }), ({ issues }) => issues[0].path === "/url");
});
