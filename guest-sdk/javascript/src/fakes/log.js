// Stands for the log of the agent in tests: keeps the lines, and shows them on standard error.

export const lines = [];
const levels = ["trace", "debug", "info", "warn", "error"];

export const enabled = (level) => levels.indexOf(level) >= levels.indexOf("info");
export const emit = (level, text, fields) => {
  lines.push({ level, text, fields: Object.fromEntries(fields) });
};
