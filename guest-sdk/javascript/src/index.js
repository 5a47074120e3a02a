// Plugins for Millrace, the durable log agent, in JavaScript. See the README.

export { Batch } from "./batch.js";
export { Edits } from "./edits.js";
export { Events } from "./events.js";
export { Failure, Fatal, Invalid, Reject, Retry } from "./failure.js";
export { HeaderColumn, Headers } from "./headers.js";
export * as log from "./log.js";
export * as metrics from "./metrics.js";
export { Options } from "./options.js";
export { Packed } from "./packed.js";
export { plugin, Refusal, Refused } from "./plugin.js";
