// Looks up who a user is: takes the id from the JSON of each body, asks an HTTP service, and sets headers of the answer.
//
// Each user is asked for once per batch, many at a time, and remembered in the state for a while, also when there is no
// such user. What is no JSON, or has no id, passes as it is.

import { log, metrics, Options, plugin, Retry } from "@millrace/plugin";
import { HttpError, sendMany } from "@millrace/plugin/http";
import * as state from "@millrace/plugin/state";

// A user that is not known is remembered as this.
const NOBODY = "{}";

export const { lifecycle, interceptor } = plugin({
  configure(config) {
    const options = new Options(config);
    this.url = options.text("url", { matches: /^https?:\/\/.*\{id\}/, expected: "an address with {id} in it" });
    this.field = options.text("field", { default: "user" });
    this.headers = options.texts("headers", { default: ["name"] });
    this.prefix = options.text("prefix", { default: "user-" });
    this.ttlMs = options.integer("ttl-seconds", { default: 300, min: 1, max: 86_400 }) * 1000;
    this.parallel = options.integer("parallel", { default: 8, min: 1, max: 64 });
    this.secret = options.text("secret", { default: "" }) || undefined;
    options.done();
  },

  intercept(batch, edits) {
    const ids = batch.bodies().texts().map((text) => this.idIn(text));
    const users = this.lookUp([...new Set(ids.filter((id) => id !== undefined))]);
    ids.forEach((id, row) => {
      const user = users.get(id);
      if (user === undefined) return;
      for (const name of this.headers) {
        if (user[name] !== undefined) edits.setHeader(row, this.prefix + name, user[name]);
      }
    });
  },

  /** The id in the JSON of a body; undefined where there is none. */
  idIn(text) {
    // Most of what is no JSON can be told without parsing it.
    if (!text.startsWith("{") || !text.includes(this.field)) return undefined;
    try {
      const id = JSON.parse(text)[this.field];
      return typeof id === "string" || Number.isSafeInteger(id) ? String(id) : undefined;
    } catch {
      return undefined;
    }
  },

  /** The users with these ids, from the state or from the service. */
  lookUp(ids) {
    const known = state.getManyTexts(ids.map(key));
    const users = new Map(ids.map((id, place) => [id, known[place]]));
    const wanted = ids.filter((id) => users.get(id) === undefined);
    metrics.counterAdd("lookups", ids.length - wanted.length, ["cache"]);
    this.ask(wanted).forEach((answer, place) => {
      const id = wanted[place];
      users.set(id, answer);
      state.set(key(id), answer, { ttlMs: this.ttlMs });
    });
    return new Map([...users].map(([id, text]) => [id, JSON.parse(text)]));
  },

  /** Asks the service for users, and gives the JSON of each. */
  ask(ids) {
    const requests = ids.map((id) => ({ url: this.url.replaceAll("{id}", encodeURIComponent(id)), auth: this.secret }));
    const answers = requests.length === 0 ? [] : sendMany(requests, this.parallel);
    metrics.counterAdd("lookups", answers.length, ["service"]);
    return answers.map((answer, place) => this.user(ids[place], answer));
  },

  user(id, answer) {
    if (answer instanceof HttpError || answer.status >= 500 || answer.status === 429) {
      // All or nothing: the batch comes again, and the users that were found with it.
      log.warn("no answer, trying again", { user: id, why: answer.message ?? answer.status });
      throw new Retry();
    }
    if (!answer.ok) return NOBODY;
    const user = answer.json();
    return JSON.stringify(Object.fromEntries(this.headers.map((name) => [name, user[name]])));
  },
});

const key = (id) => `user/${id}`;
