// Posts each batch by HTTP, one event per line. The id of the delivery is sent as an idempotency key: a batch that is tried
// again has the same one, so the service can tell that it has it already.

import { Options, plugin, Reject, Retry } from "@millrace/plugin";
import { HttpError, send } from "@millrace/plugin/http";

const NEWLINE = 0x0a;

export const { lifecycle, sink } = plugin({
  url: "",
  secret: undefined,

  configure(config) {
    const options = new Options(config);
    this.url = options.text("url", { matches: /^https?:\/\/./, expected: "an address such as https://host/path" });
    this.secret = options.text("secret", { default: "" }) || undefined;
    options.done();
  },

  deliver(batch, { id }) {
    const response = this.post(lines(batch.bodies()), id);
    if (response.ok) return;
    const { status } = response;
    if (status === 408 || status === 425 || status === 429 || status >= 500) {
      const seconds = Number(response.header("retry-after"));
      throw new Retry(seconds > 0 ? Math.min(seconds, 3600) * 1000 : undefined);
    }
    throw new Reject(`the service answered ${status}`);
  },

  post(body, id) {
    const headers = { "content-type": "application/octet-stream", "idempotency-key": id };
    try {
      return send({ method: "POST", url: this.url, headers, body, auth: this.secret });
    } catch (error) {
      // No answer, or not granted yet: the events stay in the channel until it works.
      if (error instanceof HttpError) throw new Retry();
      throw error;
    }
  },
});

/** Puts a line break behind each body. */
function lines(bodies) {
  const out = new Uint8Array(bodies.bytes.length + bodies.length).fill(NEWLINE);
  for (let row = 0; row < bodies.length; row += 1) out.set(bodies.at(row), bodies.start(row) + row);
  return out;
}
