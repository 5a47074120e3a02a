// Log lines, which go to the log of the agent with the name of the component. Each plugin has a quota.

import * as host from "#host/log";

/** Whether a line of this level would be kept: ask before a line that is expensive to build. */
export const enabled = (level) => host.enabled(level);

/** Writes one line, with named values beside its text. It never fails. */
export function emit(level, text, fields) {
  if (!host.enabled(level)) return;
  const line = typeof text === "function" ? text() : text;
  const pairs = fields === undefined ? [] : Object.entries(fields);
  host.emit(level, String(line), pairs.map(([name, value]) => [name, String(value)]));
}

export const trace = (text, fields) => emit("trace", text, fields);
export const debug = (text, fields) => emit("debug", text, fields);
export const info = (text, fields) => emit("info", text, fields);
export const warn = (text, fields) => emit("warn", text, fields);
export const error = (text, fields) => emit("error", text, fields);
