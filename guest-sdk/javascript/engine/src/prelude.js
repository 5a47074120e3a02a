// The part of the API that is JavaScript. A function of what the engine offers, so that no name of it leaks.
(function (native, globals) {
    "use strict";
    const { batch, edits } = native;

    function define(name, value) {
        Object.defineProperty(globals, name, { value, writable: true, configurable: true });
    }

    // Failures: thrown, they are an answer for the whole batch and no fault of the script.

    class Retry extends Error {
        constructor(afterMs) {
            super(afterMs === undefined ? "try again later" : `try again in ${afterMs} ms`);
            this.name = "Retry";
            this.afterMs = afterMs;
        }
    }

    class Reject extends Error {
        constructor(reason) {
            super(String(reason));
            this.name = "Reject";
        }
    }

    class Fatal extends Error {
        constructor(reason) {
            super(String(reason));
            this.name = "Fatal";
        }
    }

    function failure(thrown) {
        if (thrown instanceof Retry) {
            return ["retry", typeof thrown.afterMs === "number" ? thrown.afterMs : null, ""];
        }
        if (thrown instanceof Reject) return ["reject", null, thrown.message];
        if (thrown instanceof Fatal) return ["fatal", null, thrown.message];
        return null;
    }

    // One event, for scripts that export `event`. Nothing is read before it is asked for, and an event that nobody
    // looks at costs two fields.

    class Event {
        #row;
        // { body, isBodyNew, headers, before } once something is kept.
        #own = null;

        constructor(row) {
            this.#row = row;
        }

        get row() {
            return this.#row;
        }

        get body() {
            const own = (this.#own ??= {});
            return (own.body ??= batch.body(this.#row));
        }

        set body(value) {
            const own = (this.#own ??= {});
            own.body = typeof value === "string" ? native.encode(value) : value;
            own.isBodyNew = true;
        }

        get text() {
            const own = this.#own;
            return own?.isBodyNew ? native.decode(own.body) : batch.text(this.#row);
        }

        set text(value) {
            this.body = value;
        }

        get headers() {
            const own = (this.#own ??= {});
            if (own.headers === undefined) {
                own.before = batch.headers(this.#row);
                own.headers = Object.assign(Object.create(null), own.before);
            }
            return own.headers;
        }

        set headers(value) {
            const own = (this.#own ??= {});
            own.before ??= batch.headers(this.#row);
            own.headers = value;
        }

        header(name) {
            const headers = this.#own?.headers;
            return headers === undefined ? batch.header(this.#row, name) : (headers[name] ?? null);
        }

        static settle(event, answer) {
            if (answer === undefined || answer === true || answer === event) {
                const own = event.#own;
                if (own === null) return;
                if (own.isBodyNew) edits.setBody(event.#row, own.body);
                if (own.headers !== undefined) settleHeaders(event.#row, own.before, own.headers);
            } else if (answer === false) {
                edits.drop(event.#row);
            } else if (typeof answer === "object" && answer !== null) {
                if (typeof answer.then === "function") throw new TypeError("event(e) must not be async");
                edits.split(event.#row, Array.isArray(answer) ? answer : [answer]);
            } else {
                throw new TypeError(`event(e) returned ${answer === null ? "null" : `a ${typeof answer}`}; ` +
                    "expected true, false, an event or an array of events");
            }
        }
    }

    function settleHeaders(row, before, after) {
        for (const name of Object.keys(after)) {
            const value = after[name];
            if (value === undefined || value === null) {
                if (before[name] !== undefined) edits.removeHeader(row, name);
            } else if (value !== before[name]) {
                edits.setHeader(row, name, value);
            }
        }
        for (const name of Object.keys(before)) {
            if (!(name in after)) edits.removeHeader(row, name);
        }
    }

    function eachEvent(handle) {
        const count = batch.count;
        for (let row = 0; row < count; row++) {
            const event = new Event(row);
            let answer;
            try {
                answer = handle(event);
            } catch (thrown) {
                if (!(thrown instanceof Reject)) throw thrown;
                edits.reject(row, thrown.message);
                continue;
            }
            Event.settle(event, answer);
        }
    }

    // The log.

    function shown(value) {
        if (typeof value === "string") return value;
        if (value instanceof Error) {
            const stack = value.stack ? `\n${value.stack}` : "";
            return `${value.name}: ${value.message}${stack}`;
        }
        if (value instanceof Uint8Array) return native.decodeLossy(value);
        if (typeof value === "object" && value !== null) {
            try {
                return JSON.stringify(value);
            } catch {
                return String(value);
            }
        }
        return String(value);
    }

    function line(level) {
        return (...values) => {
            if (native.logEnabled(level)) native.log(level, values.map(shown).join(" "));
        };
    }

    define("console", {
        trace: line("trace"),
        debug: line("debug"),
        log: line("info"),
        info: line("info"),
        warn: line("warn"),
        error: line("error"),
    });

    // UTF-8, as browsers have it, without the encodings that nobody uses.

    define("TextEncoder", class TextEncoder {
        get encoding() {
            return "utf-8";
        }

        encode(text = "") {
            return native.encode(String(text));
        }
    });

    define("TextDecoder", class TextDecoder {
        #isFatal;

        constructor(encoding = "utf-8", options = {}) {
            if (!/^utf-?8$/i.test(encoding)) throw new RangeError(`there is no decoder for ${encoding}, only for utf-8`);
            this.#isFatal = Boolean(options.fatal);
        }

        get encoding() {
            return "utf-8";
        }

        decode(bytes) {
            if (bytes === undefined) return "";
            if (!this.#isFatal) return native.decodeLossy(bytes);
            const text = native.decode(bytes);
            if (text === null) throw new TypeError("the bytes are not UTF-8");
            return text;
        }
    });

    define("metrics", native.metrics);
    define("Retry", Retry);
    define("Reject", Reject);
    define("Fatal", Fatal);
    return { eachEvent, failure };
})
