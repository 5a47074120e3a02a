// A plugin in TypeScript that uses all of the SDK: `npm run types` compiles it, and nothing runs it.

import { type Batch, type Edits, Events, Fatal, type Instance, Invalid, log, metrics, Options, Packed, plugin, Reject, Retry } from "@millrace/plugin";
import { now, unixNanos } from "@millrace/plugin/clock";
import { HttpError, send, sendMany } from "@millrace/plugin/http";
import * as state from "@millrace/plugin/state";

class Everything {
  level: "low" | "high" = "low";
  names: string[] = [];

  configure(config: Record<string, unknown>, instance: Instance): void {
    const options = new Options(config);
    this.level = options.choice("level", ["low", "high"], { default: "low" });
    this.names = options.texts("names");
    options.section("limits").integer("low", { min: 0 });
    options.done();
    if (instance.lanes > 1) throw new Invalid([{ path: "", reason: "one lane only" }]);
  }

  intercept(batch: Batch, edits: Edits): void {
    const bodies: Packed = batch.bodies();
    bodies.eachMatch(/[0-9]+/g, (row, start, end) => bodies.bytes.fill(0x23, start, end));
    edits.setBodies([0], bodies.pick([0]));
    for (const row of batch.headerColumn("level").rowsWith("debug")) edits.drop(row);
    edits.split(1, (events: Events) => events.push("a", new Map([["k", 1]])));
    edits.setHeaders([2], "n", [batch.count]);
    metrics.counterAdd("seen", batch.count, ["x"]);
    log.info(() => `at ${now()}`, { nanos: unixNanos() });
    const known: string | undefined = state.getText("k");
    state.set("k", known ?? "v", { ttlMs: 1000 });
    const answer = send({ url: "https://example.com", method: "POST", body: "x", headers: { a: "b" } });
    if (answer.status === 503) throw new Retry(1000);
    if (!answer.ok) throw new Reject(answer.text());
    for (const each of sendMany(["https://example.com"])) if (each instanceof HttpError) throw new Fatal(each.kind);
  }
}

export const { lifecycle, interceptor } = plugin(new Everything());

export const { source } = plugin({
  next: 0,
  open(position) {
    this.next = position === undefined ? 0 : position.length;
  },
  poll({ eventsMax }, events) {
    events.push(String(this.next), { max: eventsMax });
    return { position: "1", pace: { afterMs: 5 } };
  },
});
