// Reads the options of the configuration and collects every mistake in them, each with its JSON pointer.

import { Invalid } from "./failure.js";

const shown = (value) => JSON.stringify(value);

export class Options {
  #config;
  #path;
  #known = new Set();
  #issues;
  #sections = [];

  /** `config` is the object that `configure` gets. */
  constructor(config, path = "", issues = []) {
    this.#config = config;
    this.#path = path;
    this.#issues = issues;
  }

  /** Notes a mistake at an option, or in the whole of them for an empty name. */
  issue(name, reason) {
    this.#issues.push({ path: name === "" ? this.#path : this.#pointer(name), reason });
  }

  /** A text. `matches` is a regular expression for the whole of it, `expected` says in words what that means. */
  text(name, { default: fallback, matches, expected = "a text" } = {}) {
    return this.#value(name, fallback, expected, (value) => {
      const isGood = typeof value === "string" && (matches === undefined || matches.test(value));
      return isGood ? value : undefined;
    });
  }

  /** A whole number within limits. */
  integer(name, { default: fallback, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = {}) {
    const expected = `a whole number${range(min, max, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)}`;
    return this.#value(name, fallback, expected, (value) =>
      Number.isInteger(value) && value >= min && value <= max ? value : undefined,
    );
  }

  /** A number within limits. */
  number(name, { default: fallback, min = -Infinity, max = Infinity } = {}) {
    const expected = `a number${range(min, max, -Infinity, Infinity)}`;
    return this.#value(name, fallback, expected, (value) =>
      typeof value === "number" && value >= min && value <= max ? value : undefined,
    );
  }

  /** `#true` or `#false`. */
  boolean(name, { default: fallback } = {}) {
    return this.#value(name, fallback, "#true or #false", (value) =>
      typeof value === "boolean" ? value : undefined,
    );
  }

  /** One of some texts. */
  choice(name, choices, { default: fallback } = {}) {
    const expected = `one of ${choices.map(shown).join(", ")}`;
    return this.#value(name, fallback, expected, (value) => (choices.includes(value) ? value : undefined));
  }

  /** One or more texts: a single one counts as a list of one. */
  texts(name, { default: fallback } = {}) {
    return this.#value(name, fallback, "one or more texts", (value) => {
      const list = Array.isArray(value) ? value : [value];
      return list.every((item) => typeof item === "string") ? list : undefined;
    });
  }

  /** The options inside of a block, which may be left out. */
  section(name) {
    const value = this.#value(name, {}, "a block of options", (value) => (isObject(value) ? value : undefined));
    const section = new Options(value ?? {}, this.#pointer(name), this.#issues);
    this.#sections.push(section);
    return section;
  }

  /** Reports all mistakes, also options that nobody asked for. Call it last. */
  done() {
    this.#findUnknown();
    if (this.#issues.length > 0) throw new Invalid(this.#issues);
  }

  #findUnknown() {
    for (const name of Object.keys(this.#config)) {
      if (this.#known.has(name)) continue;
      const known = [...this.#known].map((option) => `\`${option}\``).join(", ");
      this.issue(name, `unknown option \`${name}\`, expected ${known || "none"}`);
    }
    for (const section of this.#sections) section.#findUnknown();
  }

  #value(name, fallback, expected, read) {
    this.#known.add(name);
    if (!Object.hasOwn(this.#config, name)) {
      if (fallback === undefined) this.issue("", `missing option \`${name}\`: ${expected}`);
      return fallback;
    }
    const value = read(this.#config[name]);
    if (value === undefined) this.issue(name, `expected ${expected}, got ${shown(this.#config[name])}`);
    // The fallback keeps what comes next from failing for a second reason.
    return value ?? fallback;
  }

  #pointer(name) {
    return `${this.#path}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function range(min, max, lowest, highest) {
  if (min === lowest && max === highest) return "";
  if (max === highest) return `, ${min} or more`;
  if (min === lowest) return `, ${max} or less`;
  return ` from ${min} to ${max}`;
}
