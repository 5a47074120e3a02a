/** Why the store refused. */
export declare class StateError extends Error {
  readonly kind: "quota" | "too-large" | "denied" | "unavailable";
}
export declare function get(key: string): Uint8Array | undefined;
export declare function getText(key: string): string | undefined;
export declare function getMany(keys: readonly string[]): (Uint8Array | undefined)[];
export declare function getManyTexts(keys: readonly string[]): (string | undefined)[];
/** Sets a value, for good or for `ttlMs` milliseconds. */
export declare function set(key: string, value: string | Uint8Array, options?: { ttlMs?: number }): void;
export declare function remove(key: string): void;
/** Adds to a number that starts at 0 and returns the sum. */
export declare function increment(key: string, by?: number | bigint): bigint;
/** Keys that begin with `prefix`, in the order of their bytes, from behind `after` on. */
export declare function listKeys(prefix?: string, options?: { after?: string; max?: number }): string[];
