// Plugins for Millrace, the durable log agent. See the README.

/** Byte strings back to back, numbered from 0. */
export declare class Packed implements Iterable<Uint8Array> {
  constructor(bytes: Uint8Array, ends: Uint32Array);
  static of(strings: readonly (string | Uint8Array)[]): Packed;
  static ofTexts(texts: readonly string[]): Packed;
  /** All strings, one after the other. It is a copy of the plugin's own: it may be changed in place. */
  readonly bytes: Uint8Array;
  /** Where each string ends in `bytes`. */
  readonly ends: Uint32Array;
  readonly length: number;
  /** Where a string begins in `bytes`. */
  start(row: number): number;
  /** One string, as a view into `bytes`. */
  at(row: number): Uint8Array;
  /** One string as text; bytes that are no UTF-8 become U+FFFD. */
  text(row: number): string;
  /** All strings as texts. */
  texts(): string[];
  /** All strings as one text with one character for each byte. */
  readonly column: string;
  /** The row to which a place in `bytes` belongs. */
  rowAt(offset: number): number;
  /**
   * Calls `found` for each match of a regular expression with the flag `g`; `start` and `end` are places in `bytes`. A match
   * never crosses a border. No anchors, no look-arounds.
   */
  eachMatch(regex: RegExp, found: (row: number, start: number, end: number) => void): void;
  /** The rows in which the regular expression matches, ascending. */
  rowsMatching(regex: RegExp): number[];
  /** Some of the strings, in the order asked for. */
  pick(rows: readonly number[]): Packed;
  [Symbol.iterator](): Iterator<Uint8Array>;
}

/** One header, chosen by name, of every event. */
export declare class HeaderColumn {
  readonly values: Packed;
  /** The rows without the header, ascending. */
  readonly missing: Uint32Array;
  readonly length: number;
  get(row: number): string | undefined;
  has(row: number): boolean;
  /** The values of all rows; undefined where there is none. */
  texts(): (string | undefined)[];
  /** The rows that have one of these values, ascending. */
  rowsWith(...values: string[]): number[];
}

/** All headers of a list of events. */
export declare class Headers {
  readonly names: string[];
  readonly length: number;
  /** The headers of one event, in its order. */
  row(row: number): ReadonlyMap<string, string>;
  get(row: number, name: string): string | undefined;
}

/** A batch of events that the agent lends for one call. What is not read is not copied. */
export declare class Batch {
  /** How many events there are. */
  readonly count: number;
  /** The size of all bodies together. */
  readonly bodyBytes: number;
  /** When the agent formed the batch, in nanoseconds since 1970. The same when the batch is tried again. */
  readonly formedAt: bigint;
  readonly formedAtDate: Date;
  /** All bodies. Copied once. */
  bodies(): Packed;
  /** The bodies of some rows, in the order asked for. */
  bodiesOf(rows: ArrayLike<number>): Packed;
  headerColumn(name: string): HeaderColumn;
  /** The header names that occur, each once. */
  headerNames(): string[];
  /** All headers of all events. Copied once. */
  headers(): Headers;
  /** All headers and all bodies, in one call. */
  events(): { headers: Headers; bodies: Packed };
  /** One row: a call each, for a few rows of many. */
  body(row: number): Uint8Array;
  bodyPart(row: number, start: number, length: number): Uint8Array;
  header(row: number, name: string): string | undefined;
  event(row: number): { headers: Map<string, string>; body: Uint8Array };
}

export type HeadersLike = Iterable<readonly [string, unknown]> | Record<string, unknown>;

/** A list of events in the making. */
export declare class Events {
  readonly length: number;
  /** How large all bodies are together. */
  readonly bodyBytes: number;
  push(body: string | Uint8Array, headers?: HeadersLike): void;
}

type Rows = readonly number[] | Uint32Array;

/** What should change in the batch of this call. Nothing noted means: keep all as it is. */
export declare class Edits {
  readonly isEmpty: boolean;
  drop(row: number): void;
  dropRows(rows: Iterable<number>): void;
  setBody(row: number, body: string | Uint8Array): void;
  /** Replaces the bodies of some rows, which ascend. */
  setBodies(rows: Rows, bodies: Packed): void;
  /** Replaces the bodies of rows 0, 1, 2, … */
  setAllBodies(bodies: Packed): void;
  setHeader(row: number, name: string, value: unknown): void;
  /** Sets a header on some rows, which ascend, to a value each. */
  setHeaders(rows: Rows, name: string, values: readonly unknown[] | Packed): void;
  /** Sets a header on some rows, which ascend, to the same value. */
  setHeaderRows(rows: Rows, name: string, value: unknown): void;
  /** Sets a header on every event that is still there. The cheapest way. */
  setHeaderOnAll(name: string, value: unknown): void;
  removeHeader(row: number, name: string): void;
  removeHeaderOnAll(name: string): void;
  /** Puts the events that `write` adds in the place of one. Rows must ascend. */
  split(row: number, write: (events: Events) => void): void;
  /** Sends an event to a channel that the operator granted. */
  route(row: number, channel: string): void;
  /** Sends an event to the dead-letter channel, with a reason. */
  reject(row: number, reason: unknown): void;
}

export declare abstract class Failure extends Error {}
/** It may work later: the same batch comes again, not before so many milliseconds. */
export declare class Retry extends Failure {
  constructor(afterMs?: number);
}
/** It can never work, for this reason: the batch goes to the dead-letter channel. */
export declare class Reject extends Failure {
  constructor(reason: unknown);
}
/** This instance is broken, for this reason: it is replaced, and the batch tried once more. */
export declare class Fatal extends Failure {
  constructor(reason: unknown);
}

/** One mistake in the configuration: a JSON pointer into the options, and what is wrong there. */
export interface Issue {
  path: string;
  reason: string;
}
/** The configuration has mistakes, all of which are reported at once. */
export declare class Invalid extends Error {
  constructor(issues: Issue[]);
  readonly issues: Issue[];
}
/** Thrown by `restore`: the old instance goes on. */
export declare class Refusal extends Error {}

/** Reads options and collects every mistake in them. An option without a default is required. */
export declare class Options {
  constructor(config: object);
  text(name: string, limits?: { default?: string; matches?: RegExp; expected?: string }): string;
  integer(name: string, limits?: { default?: number; min?: number; max?: number }): number;
  number(name: string, limits?: { default?: number; min?: number; max?: number }): number;
  boolean(name: string, limits?: { default?: boolean }): boolean;
  choice<T extends string>(name: string, choices: readonly T[], limits?: { default?: T }): T;
  /** A single value counts as a list of one. */
  texts(name: string, limits?: { default?: string[] }): string[];
  section(name: string): Options;
  /** Notes a mistake at an option, or in the whole of them for an empty name. */
  issue(name: string, reason: string): void;
  /** Reports all mistakes, also options that nobody asked for. Call it last. */
  done(): void;
}

/** Who this instance is. */
export interface Instance {
  readonly agent: string;
  readonly component: string;
  readonly lane: number;
  readonly lanes: number;
  readonly generation: bigint;
}

export interface Snapshot {
  /** The name of the form of `data`, and its version. */
  schema: string;
  version: number;
  data: Uint8Array;
}

export interface Polled {
  /** Where reading stands behind these events; stored in the same commit as they are. None: unchanged. */
  position?: string | Uint8Array;
  /** When to ask again. */
  pace?: "now" | "end" | { afterMs: number };
}

/** Which batch this is: the same id always is the same events, so it serves as an idempotency key. */
export interface Delivery {
  readonly id: string;
  readonly attempt: number;
}

/** The rows that a sink did not take. The others count as delivered. */
export declare class Refused {
  retry(row: number, afterMs?: number): void;
  reject(row: number, reason: unknown): void;
}

type Maybe<T> = T | Promise<T>;

/** What a plugin does. One role is enough. */
export interface Definition {
  /** Takes the options, as one JSON object. It also runs for `millrace check`: no effects. */
  configure?(config: Record<string, unknown>, instance: Instance): Maybe<void>;
  /** Called last, if the agent has the time. */
  stop?(deadlineMs: number): Maybe<void>;

  /** Interceptor: looks at one batch and notes what should change. It must be safe to repeat. */
  intercept?(batch: Batch, edits: Edits): Maybe<void>;

  /** Source: starts, or starts again, behind the last position that was committed. */
  open?(position: Uint8Array | undefined): Maybe<void>;
  /** Source: adds what there is, without waiting: at most `eventsMax`, about `bytesMax` of bodies. */
  poll?(limits: { eventsMax: number; bytesMax: number }, events: Events): Maybe<Polled | void>;
  /** Source: everything up to this position is durable. */
  committed?(position: Uint8Array): Maybe<void>;

  /** Sink: delivers a batch. When it returns, the destination has all rows but those noted in `refused`. */
  deliver?(batch: Batch, delivery: Delivery, refused: Refused): Maybe<void>;

  /** Codec: finds the frames at the beginning of a piece of a stream. */
  frame?(bytes: Uint8Array, atEnd: boolean): { ends: ArrayLike<number>; wanted?: number };
  /** Codec: decodes whole frames. */
  decode?(frames: Packed): Decoded;
  /** Codec: one byte string for each event. */
  encode?(batch: Batch): Packed;

  /** Handover: what the next generation gets. Without it, it starts afresh. */
  save?(): Maybe<Snapshot | undefined>;
  restore?(snapshot: Snapshot): Maybe<void>;
}

export interface Decoded {
  events: Events;
  /** How many events each frame made; 0 for a refused one. */
  counts: ArrayLike<number>;
  /** The frames that made none because they are damaged, ascending. */
  refused?: { frame: number; reason: string }[];
}

/** What a component exports. */
export interface Exports {
  lifecycle: object;
  interceptor: object;
  source: object;
  sink: object;
  codec: object;
  handover: object;
}

/** Makes the exports of a component: `export const { lifecycle, interceptor } = plugin({ … })`. */
export declare function plugin<T extends Definition>(definition: T & ThisType<T>): Exports;

type Fields = Record<string, unknown>;
type Text = string | (() => string);

/** Log lines, which go to the log of the agent. */
export declare namespace log {
  type Level = "trace" | "debug" | "info" | "warn" | "error";
  function enabled(level: Level): boolean;
  function emit(level: Level, text: Text, fields?: Fields): void;
  function trace(text: Text, fields?: Fields): void;
  function debug(text: Text, fields?: Fields): void;
  function info(text: Text, fields?: Fields): void;
  function warn(text: Text, fields?: Fields): void;
  function error(text: Text, fields?: Fields): void;
}

/** Metrics of the plugin itself, declared in its manifest. */
export declare namespace metrics {
  function counterAdd(name: string, amount?: number | bigint, labels?: readonly unknown[]): void;
  function gaugeSet(name: string, value: number, labels?: readonly unknown[]): void;
  function histogramRecord(name: string, value: number, labels?: readonly unknown[]): void;
}
