import type { Batch, Exports, Instance } from "./index.js";

export interface Event {
  body: Uint8Array;
  headers: Record<string, string>;
}
export interface Outcome {
  kept: Event[];
  dropped: Event[];
  routed: Record<string, Event[]>;
  rejected: Record<string, Event[]>;
}
export interface HostRequest {
  method: string;
  url: string;
  headers: [string, Uint8Array][];
  body: Uint8Array;
  timeoutMs?: number;
  auth?: string;
}
type Answer = { status?: number; headers?: Record<string, string>; body?: string | Uint8Array } | { error: string; reason?: string };

export declare function event(body: string | Uint8Array, headers?: Record<string, string>): Event;
/** An event as text, easy to compare. */
export declare function shown(event: Event): { body: string; headers: Record<string, string> };
export declare function batch(events: Event[]): Batch;
/** Configures a plugin: `exports` is its module. Throws `Invalid` with the issues. */
export declare function configure(exports: Pick<Exports, "lifecycle">, config?: object, instance?: Partial<Instance>): void;
export declare function intercept(exports: Pick<Exports, "interceptor">, events: Event[]): Outcome;
export declare function deliver(
  exports: Pick<Exports, "sink">,
  events: Event[],
  delivery?: { id?: string; attempt?: number },
): "delivered" | { row: number; failure: { tag: string; val: unknown } }[];
export declare function poll(
  exports: Pick<Exports, "source">,
  limits?: { eventsMax?: number; bytesMax?: number },
): { events: Event[]; position: Uint8Array | undefined; pace: "now" | "end" | { afterMs: number } };
/** Forgets log lines, metrics, state and requests, and sets the clock back. */
export declare function reset(): void;
/** Answers requests. */
export declare function serve(answer: (request: HostRequest) => Answer): void;
/** Moves the clock. */
export declare function advance(ms: number): void;

export declare const logged: { level: string; text: string; fields: Record<string, string> }[];
export declare const recorded: { name: string; labels: string[]; value: number }[];
export declare const requests: HostRequest[];
export declare const stored: Map<string, { value: Uint8Array }>;
