export interface Request {
  url: string;
  /** `GET` unless it is said. */
  method?: string;
  headers?: Record<string, string | Uint8Array> | Iterable<readonly [string, string | Uint8Array]>;
  body?: string | Uint8Array;
  timeoutMs?: number;
  /** The name of a granted secret, which the agent adds. */
  auth?: string;
}

export declare class Response {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: readonly (readonly [string, Uint8Array])[];
  readonly body: Uint8Array;
  /** Whether the status is 200 to 299. */
  readonly ok: boolean;
  header(name: string): string | undefined;
  text(): string;
  json(): any;
}

/** Why there is no response. */
export declare class HttpError extends Error {
  readonly kind: "denied" | "dns" | "timeout" | "too-large" | "invalid" | "transport";
  /** Whether the same request may work later. */
  readonly isTemporary: boolean;
}

/** Sends one request and gives the response, whatever its status. Throws `HttpError`. */
export declare function send(request: Request | string): Response;
/** Sends many requests, at most `parallel` at a time, and gives the answers in their order. */
export declare function sendMany(requests: readonly (Request | string)[], parallel?: number): (Response | HttpError)[];
