// Counts: brings in the numbers from `from` to `to`, some at a time. The position is the next number, so after a restart
// the source goes on where the last commit left it, and no number comes twice.

import { Options, plugin } from "@millrace/plugin";

const utf8 = new TextDecoder();

export const { lifecycle, source } = plugin({
  from: 0,
  to: 0,
  atOnce: 0,
  everyMs: 0,
  next: 0,

  configure(config) {
    const options = new Options(config);
    this.from = options.integer("from", { default: 1, min: 0 });
    this.to = options.integer("to", { default: Number.MAX_SAFE_INTEGER - 1, min: 0 });
    this.atOnce = options.integer("at-once", { default: 10, min: 1 });
    this.everyMs = options.integer("every-ms", { default: 1000, min: 0, max: 86_400_000 });
    options.done();
  },

  open(position) {
    this.next = position === undefined ? this.from : Number(utf8.decode(position));
  },

  poll({ eventsMax, bytesMax }, events) {
    const before = this.next;
    const end = Math.min(this.to + 1, before + Math.min(this.atOnce, eventsMax));
    while (this.next < end && events.bodyBytes < bytesMax) {
      events.push(String(this.next), { number: this.next });
      this.next += 1;
    }
    return {
      position: this.next === before ? undefined : String(this.next),
      pace: this.next > this.to ? "end" : { afterMs: this.everyMs },
    };
  },
});
