// Stands for the state of a component in tests, with its limits and the lifetime of keys.

import { time } from "./clock.js";

const KEY_BYTES_MAX = 1024;
const VALUE_BYTES_MAX = 1 << 20;
const encoder = new TextEncoder();

/** Key to { value, until }. */
export const entries = new Map();

const failed = (tag) => Object.assign(new Error(tag), { payload: { tag } });
const checkKey = (key) => {
  if (encoder.encode(key).length > KEY_BYTES_MAX) throw failed("too-large");
};

export function get(key) {
  checkKey(key);
  const entry = entries.get(key);
  return entry === undefined || entry.until <= time.unixNanos ? undefined : entry.value;
}
export const getMany = (keys) => keys.map(get);
export function set(key, value, ttlMs) {
  checkKey(key);
  if (value.length > VALUE_BYTES_MAX) throw failed("too-large");
  const until = ttlMs === undefined ? Infinity : time.unixNanos + ttlMs * 1_000_000n;
  entries.set(key, { value: value.slice(), until });
}
function remove(key) {
  entries.delete(key);
}
export { remove as delete };
export function increment(key, by) {
  const value = get(key) ?? new Uint8Array(8);
  if (value.length !== 8) throw failed("too-large");
  const bytes = value.slice();
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt.asIntN(64, view.getBigInt64(0, true) + by), true);
  set(key, bytes);
  return view.getBigInt64(0, true);
}
export function listKeys(prefix, after, keysMax) {
  const keys = [...entries.keys()].filter((key) => get(key) !== undefined && key.startsWith(prefix)).sort(byBytes);
  return keys.filter((key) => after === undefined || byBytes(key, after) > 0).slice(0, keysMax);
}

function byBytes(a, b) {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
