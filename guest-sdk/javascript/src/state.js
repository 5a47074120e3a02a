// Keys and values that belong to one component and outlive its instances. What a call writes becomes durable together with
// its batch, or not at all. A call reads its own writes.

import * as host from "#host/state";
import { bytesOf } from "./packed.js";

const utf8 = new TextDecoder();

/** Why the store refused: `kind` is quota, too-large, denied or unavailable. */
export class StateError extends Error {
  constructor({ tag, val }) {
    super(val === undefined ? `state: ${tag}` : `state: ${tag}: ${val}`);
    this.name = "StateError";
    this.kind = tag;
  }
}

/** What the agent answers with an error arrives as an exception with a `payload`. */
function asked(call) {
  try {
    return call();
  } catch (error) {
    throw error?.payload?.tag === undefined ? error : new StateError(error.payload);
  }
}

const textOf = (value) => (value === undefined ? undefined : utf8.decode(value));

/** The bytes of a key; undefined where there is no such key or its time is over. */
export const get = (key) => asked(() => host.get(key)) ?? undefined;
/** The value of a key as text. */
export const getText = (key) => textOf(get(key));
/** The values of many keys, in the order asked for: one call instead of many. */
export const getMany = (keys) => asked(() => host.getMany(keys)).map((value) => value ?? undefined);
/** The values of many keys as texts. */
export const getManyTexts = (keys) => getMany(keys).map(textOf);
/** Sets a value (text or bytes), for good or for `ttlMs` milliseconds. */
export const set = (key, value, { ttlMs } = {}) =>
  asked(() => host.set(key, bytesOf(value), ttlMs === undefined ? undefined : BigInt(Math.ceil(ttlMs))));
/** Removes a key. A key that is not there is no error. */
export const remove = (key) => asked(() => host.delete(key));
/** Adds to a number that starts at 0 and returns the sum, as a BigInt. */
export const increment = (key, by = 1) => asked(() => host.increment(key, BigInt(by)));
/** Keys that begin with `prefix`, in the order of their bytes, from behind `after` on. */
export const listKeys = (prefix = "", { after, max = 1000 } = {}) => asked(() => host.listKeys(prefix, after, max));
