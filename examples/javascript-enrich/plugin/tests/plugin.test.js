import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { advance, configure, event, intercept, recorded, requests, reset, serve, shown } from "@millrace/plugin/testing";
import * as enrich from "../src/plugin.js";

const users = { 17: { name: "Ada", plan: "gold" }, ä: { name: "Ägidius" } };

beforeEach(() => {
  reset();
  serve(({ url }) => {
    const user = users[decodeURIComponent(url.split("/").at(-1))];
    return user === undefined ? { status: 404 } : { body: JSON.stringify(user) };
  });
  configure(enrich, { url: "https://users.example.com/v1/{id}", headers: ["name", "plan"], "ttl-seconds": 60 });
});

const pass = (...bodies) => intercept(enrich, bodies.map((body) => event(body))).kept.map(shown);

test("a user becomes headers, and is asked for once", () => {
  const [first, second, other] = pass('{"user":17}', '{"user":"17","n":2}', '{"user":"ä"}');
  assert.deepEqual(first.headers, { "user-name": "Ada", "user-plan": "gold" });
  assert.deepEqual(second.headers, first.headers);
  assert.deepEqual(other.headers, { "user-name": "Ägidius" });
  assert.deepEqual(requests.map(({ url }) => url).sort(), [
    "https://users.example.com/v1/%C3%A4",
    "https://users.example.com/v1/17",
  ]);
});

test("what is known is not asked for again until its time is over", () => {
  pass('{"user":17}', '{"user":99}');
  pass('{"user":17}', '{"user":99}');
  assert.equal(requests.length, 2);
  advance(61_000);
  pass('{"user":17}');
  assert.equal(requests.length, 3);
  assert.deepEqual(
    recorded.map(({ labels: [where], value }) => `${where} ${value}`),
    ["cache 0", "service 2", "cache 2", "service 0", "cache 0", "service 1"],
  );
});

test("what is no JSON, has no id or an unknown one passes as it is", () => {
  const bodies = ["", "user", "{user", '{"user":null}', '{"user":{"a":1}}', '["user"]', '{"user":99}', '{"users":17}'];
  assert.deepEqual(pass(...bodies), bodies.map((body) => ({ body, headers: {} })));
});

test("without an answer the batch comes again", () => {
  for (const answer of [{ error: "timeout" }, { status: 503 }, { status: 429 }]) {
    serve(() => answer);
    assert.throws(() => pass('{"user":17}'), ({ payload }) => payload.tag === "retry");
  }
});

test("an address needs a place for the id", () => {
  assert.throws(() => configure(enrich, { url: "https://users.example.com/" }), ({ issues }) => issues[0].path === "/url");
});
