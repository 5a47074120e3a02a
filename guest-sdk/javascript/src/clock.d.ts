/** Nanoseconds since 1970. It can jump, as the clock of the machine can. */
export declare function unixNanos(): bigint;
/** Milliseconds since 1970. */
export declare function now(): number;
/** Nanoseconds since some moment before the plugin started. It never goes back. */
export declare function monotonicNanos(): bigint;
