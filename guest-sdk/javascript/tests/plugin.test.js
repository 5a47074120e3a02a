import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Events, Fatal, log, Options, plugin, Refusal, Reject, Retry } from "@millrace/plugin";
import { send } from "@millrace/plugin/http";
import * as state from "@millrace/plugin/state";
import { advance, batch, configure, event, intercept, logged, recorded, reset, serve } from "@millrace/plugin/testing";

beforeEach(reset);

const thrown = (call) => {
  try {
    call();
  } catch (error) {
    return error;
  }
  assert.fail("nothing was thrown");
};

test("a failure is an answer and not logged", () => {
  for (const [failure, payload] of [
    [new Retry(), { tag: "retry", val: undefined }],
    [new Retry(250), { tag: "retry", val: 250 }],
    [new Reject("bad"), { tag: "reject", val: "bad" }],
    [new Fatal("broken"), { tag: "fatal", val: "broken" }],
  ]) {
    const exports = plugin({
      intercept() {
        throw failure;
      },
    });
    assert.deepEqual(thrown(() => intercept(exports, [event("a")])).payload, payload);
  }
  assert.deepEqual(logged, []);
});

test("a mistake is logged with its stack and ends the call", () => {
  const exports = plugin({
    intercept() {
      null.length;
    },
  });
  const error = thrown(() => intercept(exports, [event("a")]));
  assert.equal(error instanceof TypeError && !("payload" in error), true);
  assert.match(logged[0].text, /^intercept: TypeError: .*null[^]*plugin\.test\.js/);
});

test("what is thrown and is no error is no answer either", () => {
  for (const odd of ["text", undefined, { payload: { tag: "retry" } }, Object.assign(new Error("x"), { payload: 1 })]) {
    const exports = plugin({
      intercept() {
        throw odd;
      },
    });
    const error = thrown(() => intercept(exports, [event("a")]));
    assert.equal(error instanceof Error && !("payload" in error), true);
  }
  assert.equal(logged.length, 4);
});

test("promises are waited for", async () => {
  const exports = plugin({
    async intercept(lent, edits) {
      await null;
      edits.drop(0);
    },
  });
  const { dropped } = await intercept(exports, [event("a")]);
  assert.equal(dropped.length, 1);
  const failing = plugin({
    async intercept() {
      throw new Retry(1);
    },
  });
  await assert.rejects(intercept(failing, [event("a")]), ({ payload }) => payload.tag === "retry");
});

test("options are checked all at once", () => {
  const exports = plugin({
    configure(config) {
      const options = new Options(config);
      options.text("name");
      options.integer("count", { min: 1 });
      options.choice("mode", ["a", "b"], { default: "a" });
      options.boolean("flag", { default: false });
      options.texts("list", { default: [] });
      options.section("in/ner").number("low", { default: 0, max: 1 });
      options.done();
    },
  });
  configure(exports, { name: "x", count: 1, list: "one", "in/ner": { low: 0.5 } });
  const config = { count: 0.5, mode: "c", flag: 1, list: [1], "in/ner": { low: 2, lwo: 1 }, "a~b": 1 };
  const { payload, issues } = thrown(() => configure(exports, config));
  assert.equal(payload, issues);
  assert.deepEqual(
    issues.map(({ path, reason }) => `${path}: ${reason}`),
    [
      ": missing option `name`: a text",
      "/count: expected a whole number, 1 or more, got 0.5",
      '/mode: expected one of "a", "b", got "c"',
      "/flag: expected #true or #false, got 1",
      "/list: expected one or more texts, got [1]",
      "/in~1ner/low: expected a number, 1 or less, got 2",
      "/a~0b: unknown option `a~b`, expected `name`, `count`, `mode`, `flag`, `list`, `in/ner`",
      "/in~1ner/lwo: unknown option `lwo`, expected `low`",
    ],
  );
});

test("a batch is read in columns and in rows", () => {
  const lent = batch([event("ä", { level: "info", a: "1" }), event("", {}), event("c", { level: "" })]);
  assert.deepEqual([lent.count, lent.bodyBytes, lent.bodies().texts()], [3, 3, ["ä", "", "c"]]);
  const column = lent.headerColumn("level");
  assert.deepEqual(column.texts(), ["info", undefined, ""]);
  assert.deepEqual([column.has(1), column.has(2), column.get(0), column.rowsWith("", "info")], [false, true, "info", [0, 2]]);
  assert.deepEqual([...lent.headers().row(0)], [["level", "info"], ["a", "1"]]);
  assert.equal(lent.headers().row(1).size, 0);
  assert.deepEqual(lent.headerNames(), ["level", "a"]);
  assert.deepEqual(lent.bodiesOf([2, 0]).texts(), ["c", "ä"]);
  assert.deepEqual([lent.header(0, "a"), lent.header(1, "a")], ["1", undefined]);
  assert.deepEqual([...lent.bodyPart(0, 1, 9)], [0xa4]);
  assert.deepEqual(lent.event(2).headers, new Map([["level", ""]]));
  assert.equal(lent.events().headers.get(2, "level"), "");
  assert.throws(() => lent.body(3), RangeError);
  assert.equal(lent.formedAtDate.getUTCFullYear(), 2023);
});

test("names of headers are kept once", () => {
  const events = new Events();
  events.push("a", { k: 1, l: "2" });
  events.push("");
  events.push("c", new Map([["l", "ü"], ["k", "4"]]));
  const { headers, bodies } = events.finish();
  assert.deepEqual([headers.names, [...headers.counts], [...headers.nameIds]], [["k", "l"], [2, 0, 2], [0, 1, 1, 0]]);
  assert.deepEqual([...headers.values.ends], [1, 2, 4, 5]);
  assert.deepEqual([...bodies.ends, events.bodyBytes], [1, 1, 2, 2]);
});

test("a sink names the rows that it did not take", () => {
  const { sink } = plugin({
    deliver(lent, delivery, refused) {
      if (delivery.attempt === 1) return;
      refused.reject(2, "bad");
      refused.retry(0, 10);
    },
  });
  const host = { count: () => 3 };
  assert.deepEqual(sink.deliver(host, { id: "d", attempt: 1 }), { tag: "delivered" });
  assert.deepEqual(sink.deliver(host, { id: "d", attempt: 2 }), {
    tag: "partial",
    val: [
      { row: 0, failure: { tag: "retry", val: 10 } },
      { row: 2, failure: { tag: "reject", val: "bad" } },
    ],
  });
});

test("a source answers with events, a position and a pace", () => {
  const { source } = plugin({
    poll(limits, events) {
      events.push("a");
      return { position: "1", pace: { afterMs: 5 } };
    },
  });
  source.open(undefined);
  const { events, position, pace } = source.poll(10, 100);
  assert.deepEqual([[...events.bodies.ends], [...position], pace], [[1], [0x31], { tag: "after", val: 5 }]);
  assert.deepEqual(plugin({ poll() {} }).source.poll(1, 1).pace, { tag: "now" });
});

test("a codec cuts, decodes and encodes", () => {
  const { codec } = plugin({
    frame: (bytes) => ({ ends: [...bytes].flatMap((byte, place) => (byte === 10 ? [place + 1] : [])) }),
    decode(frames) {
      const events = new Events();
      frames.texts().forEach((text) => events.push(text.trim()));
      return { events, counts: [1, 1], refused: [{ frame: 1, reason: "odd" }] };
    },
    encode: (lent) => lent.bodies(),
  });
  const bytes = new TextEncoder().encode("a\nb\nc");
  const { ends, wanted } = codec.frame(bytes, false);
  assert.deepEqual([[...ends], wanted], [[2, 4], 0]);
  const decoded = codec.decode({ bytes: bytes.subarray(0, 4), ends });
  assert.deepEqual([...decoded.events.bodies.ends], [1, 2]);
  assert.deepEqual(decoded.refused, [{ frame: 1, failure: { tag: "reject", val: "odd" } }]);
});

test("what is handed over comes back, and can be refused", () => {
  const { handover } = plugin({
    save: () => ({ schema: "s", version: 2, data: "x" }),
    restore({ version }) {
      if (version !== 2) throw new Refusal(`version ${version}`);
    },
  });
  assert.deepEqual(handover.save(), { schema: "s", version: 2, data: new Uint8Array([0x78]) });
  handover.restore(handover.save());
  assert.equal(thrown(() => handover.restore({ version: 1 })).payload, "version 1");
  const none = plugin({}).handover;
  assert.equal(none.save().schema, "");
  none.restore(none.save());
});

test("state keeps what was written, for as long as it was meant to", () => {
  state.set("a/1", "x", { ttlMs: 100 });
  state.set("a/2", new Uint8Array([1]));
  assert.deepEqual(state.getManyTexts(["a/1", "none"]), ["x", undefined]);
  assert.deepEqual(state.listKeys("a/"), ["a/1", "a/2"]);
  assert.deepEqual(state.listKeys("a/", { after: "a/1" }), ["a/2"]);
  advance(100);
  assert.equal(state.getText("a/1"), undefined);
  state.remove("a/2");
  assert.deepEqual(state.listKeys(), []);
  assert.deepEqual([state.increment("n"), state.increment("n", 41), state.increment("n", -50n)], [1n, 42n, -8n]);
  assert.throws(() => state.get("k".repeat(1025)), { kind: "too-large" });
});

test("a request that fails says why", () => {
  assert.throws(() => send("https://a.example"), { kind: "denied", isTemporary: false });
  serve(() => ({ error: "transport", reason: "reset" }));
  assert.throws(() => send("https://a.example"), { kind: "transport", isTemporary: true, message: "http: transport: reset" });
  serve(() => ({ status: 404, headers: { "x-a": "b" }, body: '{"a":1}' }));
  const response = send({ url: "https://a.example", headers: { n: 1 } });
  assert.deepEqual([response.ok, response.header("x-a"), response.header("x-b"), response.json()], [false, "b", undefined, { a: 1 }]);
});

test("lines that nobody keeps are not built", () => {
  log.debug(() => assert.fail("built"));
  log.warn(() => "odd", { row: 17 });
  assert.deepEqual(logged, [{ level: "warn", text: "odd", fields: { row: "17" } }]);
  assert.equal(recorded.length, 0);
});
