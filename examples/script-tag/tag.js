// Tags each line with its level and its service. Lines of the levels in `drop` end here.

const line = /^\S+ (TRACE|DEBUG|INFO|WARN|ERROR) \[([\w-]+)\] /;

let drop;

export function configure(config) {
    // One value is a string, several are an array.
    drop = new Set([config.drop ?? []].flat());
}

export function event(e) {
    const found = e.text?.match(line);
    if (!found) throw new Reject("not a line of a service");
    const [, level, service] = found;
    if (drop.has(level)) return false;
    e.headers.level = level.toLowerCase();
    e.headers.service = service;
}
