// Why a call did not succeed, said as what the agent should do now. Throw one of these; anything else that is thrown is a
// mistake of the plugin and ends the call with a trap.

class Failure extends Error {
  constructor(tag, val, message) {
    super(message);
    this.name = new.target.name;
    // What crosses the boundary.
    this.payload = { tag, val };
  }
}

/** It may work later: the same batch comes again, not before so many milliseconds (none: the agent chooses). */
export class Retry extends Failure {
  constructor(afterMs) {
    super("retry", afterMs, afterMs === undefined ? "retry" : `retry after ${afterMs} ms`);
  }
}

/** It can never work, for this reason: the batch goes to the dead-letter channel. */
export class Reject extends Failure {
  constructor(reason) {
    super("reject", String(reason), String(reason));
  }
}

/** This instance is broken, for this reason: it is replaced, and the batch tried once more. */
export class Fatal extends Failure {
  constructor(reason) {
    super("fatal", String(reason), String(reason));
  }
}

export { Failure };

/** The configuration has mistakes, all of which are reported at once. */
export class Invalid extends Error {
  constructor(issues) {
    super(issues.map(({ path, reason }) => `${path || "the options"}: ${reason}`).join("; "));
    this.name = "Invalid";
    this.issues = issues;
    this.payload = issues;
  }
}
