import assert from "node:assert/strict";
import { test } from "node:test";

import { Edits, Packed } from "@millrace/plugin";
import { apply, event, shown } from "@millrace/plugin/testing";

const events = (...bodies) => bodies.map((body) => event(body, { k: "v" }));
const run = (count, note) => {
  const edits = new Edits();
  note(edits);
  const outcome = apply(events(...["a", "b", "c", "d", "e"].slice(0, count)), edits.finish());
  return { ...outcome, kept: outcome.kept.map(shown) };
};

test("nothing noted keeps everything", () => {
  const edits = new Edits();
  assert.equal(edits.isEmpty, true);
  assert.deepEqual(edits.finish(), []);
});

test("every edit does what it says", () => {
  const { kept, dropped, rejected, routed } = run(5, (edits) => {
    edits.setBody(0, "A");
    edits.removeHeader(0, "k");
    edits.drop(1);
    edits.reject(2, "why");
    edits.route(3, "fast");
    edits.split(4, (split) => {
      split.push("e1", { n: 1 });
      split.push(new Uint8Array([101]), [["m", "2"]]);
    });
    edits.removeHeaderOnAll("n");
  });
  assert.deepEqual(kept, [
    { body: "A", headers: {} },
    { body: "e1", headers: {} },
    { body: "e", headers: { m: "2" } },
  ]);
  assert.deepEqual(dropped.map(shown), [{ body: "b", headers: { k: "v" } }]);
  assert.deepEqual(Object.keys(rejected), ["why"]);
  assert.deepEqual(routed.fast.map(shown), [{ body: "d", headers: { k: "v" } }]);
});

test("rows that get the same header share one edit, and one value if they can", () => {
  const edits = new Edits();
  edits.setHeader(0, "n", "x");
  edits.setHeader(2, "n", "x");
  edits.setHeader(1, "m", "ä");
  edits.setHeader(3, "m", "b");
  const [first, second] = edits.finish();
  assert.deepEqual([first.val.name, [...first.val.rows], [...first.val.values.ends]], ["n", [0, 2], [1]]);
  assert.deepEqual([second.val.name, [...second.val.rows], [...second.val.values.ends]], ["m", [1, 3], [2, 3]]);
});

test("a later change to the same row wins", () => {
  const { kept } = run(2, (edits) => {
    edits.setHeader(1, "n", "first");
    edits.setHeader(0, "n", "second");
    edits.setHeader(1, "n", "third");
    edits.setBody(1, "old");
    edits.setBody(1, "new");
    edits.setBody(0, "zero");
    edits.removeHeader(0, "k");
    edits.setHeader(0, "k", "again");
  });
  assert.deepEqual(kept, [
    { body: "zero", headers: { k: "again", n: "second" } },
    { body: "new", headers: { k: "v", n: "third" } },
  ]);
});

test("a row may be changed and dropped in any order, and dropped twice", () => {
  const { kept, dropped } = run(3, (edits) => {
    edits.drop(2);
    edits.setBody(2, "x");
    edits.drop(0);
    edits.dropRows([2, 2]);
  });
  assert.deepEqual([kept.length, dropped.length], [1, 2]);
});

test("a header on all passes over what has ended and takes what was split", () => {
  const { kept } = run(3, (edits) => {
    edits.drop(0);
    edits.split(1, (split) => split.push("b1"));
    edits.setHeaderOnAll("seen", 1);
    edits.setHeader(2, "seen", "two");
  });
  assert.deepEqual(kept.map(({ headers }) => headers), [{ seen: "1" }, { k: "v", seen: "two" }]);
});

test("columns are taken as they are, and must fit", () => {
  const { kept } = run(3, (edits) => {
    edits.setBodies([0, 2], Packed.of(["x", "z"]));
    edits.setHeaders([0, 2], "n", [1, 2]);
    edits.setHeaderRows([1, 2], "m", "same");
    edits.setBodies([], Packed.of([]));
    edits.setHeaders([], "n", []);
  });
  assert.deepEqual(kept, [
    { body: "x", headers: { k: "v", n: "1" } },
    { body: "b", headers: { k: "v", m: "same" } },
    { body: "z", headers: { k: "v", n: "2", m: "same" } },
  ]);
  assert.throws(() => new Edits().setBodies([0], Packed.of([])), RangeError);
  assert.throws(() => new Edits().setHeaders([0], "n", []), RangeError);
});

test("all bodies can be replaced at once", () => {
  const { kept } = run(2, (edits) => edits.setAllBodies(Packed.of(["1", ""])));
  assert.deepEqual(kept.map(({ body }) => body), ["1", ""]);
});

test("the last route counts", () => {
  const { routed } = run(2, (edits) => {
    edits.route(0, "slow");
    edits.route(1, "slow");
    edits.route(0, "fast");
  });
  assert.deepEqual(Object.entries(routed).map(([channel, { length }]) => [channel, length]), [["fast", 1], ["slow", 1]]);
});

test("edits that break a rule are named", () => {
  const broken = (note) => () => run(2, note);
  assert.throws(broken((edits) => edits.drop(2)), /row 2 is out of range/);
  assert.throws(broken((edits) => (edits.drop(0), edits.reject(0, "x"))), /row 0 has ended already/);
  assert.throws(broken((edits) => edits.setHeaderRows([1, 0], "n", "x")), /rows do not ascend/);
});
