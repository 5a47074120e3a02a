// Time, for worlds that have a clock. Pure interceptors have `batch.formedAt`.

import * as host from "#host/clock";

/** Nanoseconds since 1970, as a BigInt. It can jump, as the clock of the machine can. */
export const unixNanos = () => host.unixNanos();
/** Milliseconds since 1970: what `Date.now()` is elsewhere. */
export const now = () => Number(host.unixNanos() / 1_000_000n);
/** Nanoseconds since some moment before the plugin started, as a BigInt. It never goes back. */
export const monotonicNanos = () => host.monotonicNanos();
