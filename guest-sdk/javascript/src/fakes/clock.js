// Stands for the clock of the agent in tests: it stands still until it is moved.

export const time = { unixNanos: 1_700_000_000_000_000_000n, monotonicNanos: 0n };

export const advance = (ms) => {
  const nanos = BigInt(Math.round(ms * 1e6));
  time.unixNanos += nanos;
  time.monotonicNanos += nanos;
};
export const unixNanos = () => time.unixNanos;
export const monotonicNanos = () => time.monotonicNanos;
