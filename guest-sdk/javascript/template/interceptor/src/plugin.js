// Masks long numbers, such as those of payment cards, in bodies: every run of 13 to 19 digits but for its last ones.
// Events in which something was masked get the header `redacted` with the number of runs.

import { Options, plugin } from "@millrace/plugin";

const LENGTH_MAX = 19;
// Thirteen digits and more. Written out, because then the engine looks at one byte of eight only: with `[0-9]{13,}` it
// takes fifteen times as long.
const RUN = /[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]+/g;

export const { lifecycle, interceptor } = plugin({
  mask: 0,
  keep: 0,

  configure(config) {
    const options = new Options(config);
    const mask = options.text("mask", { default: "#", matches: /^[\x20-\x7e]$/, expected: "one ASCII character" });
    this.mask = mask.charCodeAt(0);
    this.keep = options.integer("keep", { default: 4, min: 0, max: 13 });
    options.done();
  },

  intercept(batch, edits) {
    const bodies = batch.bodies();
    const rows = [];
    const counts = [];
    bodies.eachMatch(RUN, (row, start, end) => {
      if (end - start > LENGTH_MAX) return;
      // The bodies are a copy of ours, so they are changed in place.
      bodies.bytes.fill(this.mask, start, end - this.keep);
      if (rows.at(-1) === row) {
        counts[counts.length - 1] += 1;
      } else {
        rows.push(row);
        counts.push(1);
      }
    });
    edits.setBodies(rows, bodies.pick(rows));
    edits.setHeaders(rows, "redacted", counts);
  },
});
