//! Scripts that are wrong, that break, and that ask for too much.

use std::time::{Duration, Instant};

use crate::{
    script_rig::Script,
    support::{Rig, batch, bodies, detail, numbered, rejection},
};

#[test]
fn a_syntax_error_is_told_in_the_line_of_the_script() {
    let rig = Rig::for_scripts();
    let told = rig.wrong_js("export function event(e) {\n    const größe = ;\n}\n", "");
    assert!(told.starts_with("error[script::error]: script tag: SyntaxError: "), "{told}");
    assert!(told.contains("--> scripts/x.js:2:19\n"), "{told}");
    assert!(told.contains("2 |     const größe = ;\n  |                   ^ here"), "{told}");
    assert!(told.contains("the script is named here"), "{told}");
}

#[test]
fn an_exception_at_the_top_level_and_in_configure_has_its_place() {
    let rig = Rig::for_scripts();
    let told = rig.wrong_js("const a = {};\na.b.c();\nexport function event() {}", "");
    assert!(told.contains("TypeError: cannot read property 'c' of undefined"), "{told}");
    assert!(told.contains("--> scripts/x.js:2:"), "{told}");
    let told = rig.wrong_js(
        "export function configure(config) {\n    if (!config.tag) throw new Error('no tag');\n}\nexport function event() {}",
        "",
    );
    assert!(told.contains("script tag: Error: no tag"), "{told}");
    assert!(told.contains("--> scripts/x.js:2:"), "{told}");
}

#[test]
fn what_a_script_lacks_is_told() {
    let rig = Rig::for_scripts();
    let cases = [
        ("export const x = 1;", "exports no function intercept(batch, edits) or event(e)"),
        ("export function event() {} export function intercept() {}", "exports both intercept and event"),
        ("import x from './lib.js'; export function event() {}", "./lib.js"),
        (
            "await new Promise(() => {}); export function event() {}",
            "waits for a promise that nothing will ever settle",
        ),
        ("throw 5; export function event() {}", "threw 5"),
        (
            "export function configure() { return 5 } export function event() {}",
            "configure returned a number",
        ),
    ];
    for (text, expected) in cases {
        let told = rig.wrong_js(text, "");
        assert!(told.contains(expected), "{text}: {told}");
    }
}

#[test]
fn state_is_there_for_scripts_that_import_it_by_name_and_not_before_the_first_call() {
    let rig = Rig::for_scripts();
    let early = "import state from \"millrace:state\";\nstate.get(\"x\");\nexport function event() {}";
    let told = rig.wrong_js(early, "");
    assert!(told.contains("state: the state is not there during `configure`"), "{told}");
    assert!(told.contains("--> scripts/x.js:2:"), "{told}");
    let hidden = "import state from \"mill\\u0072ace:state\";\nexport function event() {}";
    let told = rig.wrong_js(hidden, "");
    assert!(told.contains("\"millrace:state\" is imported by its plain name only"), "{told}");
}

#[test]
fn a_script_needs_exactly_one_text() {
    let rig = Rig::for_scripts();
    let told = rig.script_in("", "file \"scripts/missing.js\"").err().unwrap();
    assert!(
        told.contains("error[config::unreadable]: `file`: cannot read scripts/missing.js: no such file"),
        "{told}"
    );
    let told = rig.script_in("", "").err().unwrap();
    assert!(told.contains("error[script::source]: the script names no file"), "{told}");
    let told =
        rig.script_in("export function event() {}", "file \"scripts/x.js\"\nsource \"x\"").err().unwrap();
    assert!(told.contains("a script has a file or a source, not both"), "{told}");
}

#[tokio::test]
async fn an_event_that_throws_goes_to_the_dead_letters_with_place_and_stack() {
    let rig = Rig::for_scripts();
    let script = rig.js("function level(e) {\n    return JSON.parse(e.text).level.name;\n}\n\
         export function event(e) {\n    e.headers.level = level(e);\n}");
    let good = "{\"level\":{\"name\":\"info\"}}";
    let mut all = vec![good; 50];
    all[17] = "{}";
    let out = script.intercept(batch(&all)).await.unwrap();
    assert_eq!(out.len(), 49);
    assert!(out.iter().all(|event| event.header("level").is_some_and(|level| &**level == "info")));
    let [dead] = out.diverted() else { panic!("{:?}", out.diverted()) };
    let rejection = rejection(dead);
    assert!(
        rejection.reason.starts_with("trap: scripts/x.js:2:")
            && rejection.reason.ends_with(": TypeError: cannot read property 'name' of undefined"),
        "{}",
        rejection.reason
    );
    let stack: Vec<&str> = detail(rejection, "backtrace").lines().collect();
    assert!(stack[0].starts_with("at level (scripts/x.js:2:"), "{stack:?}");
    assert!(stack[1].starts_with("at event (scripts/x.js:5:"), "{stack:?}");
    assert_eq!(stack.len(), 2, "{stack:?}");
    assert!(detail(rejection, "digest").starts_with("sha256:"));
}

#[tokio::test]
async fn a_script_that_breaks_on_everything_holds_the_batch() {
    let rig = Rig::for_scripts();
    let script = rig.js("export function event(e) { undefinedName; }");
    let error = script.intercept(numbered(20, &[])).await.unwrap_err();
    assert_eq!(error.batch.len(), 20);
    assert!(
        error.source.to_string().contains("ReferenceError: undefinedName is not defined"),
        "{}",
        error.source
    );
}

#[tokio::test]
async fn an_endless_loop_costs_one_event_and_its_time() {
    let rig = Rig::for_scripts();
    let text = "export function event(e) { if (e.text === '3') for (;;) {} }";
    let script = rig
        .script(&Script { text, options: "limits time=\"200ms\"" })
        .unwrap_or_else(|told| panic!("{told}"));
    let begun = Instant::now();
    let out = script.intercept(numbered(8, &[])).await.unwrap();
    assert_eq!(bodies(&out), ["0", "1", "2", "4", "5", "6", "7"]);
    assert!(rejection(&out.diverted()[0]).reason.starts_with("deadline: "));
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[test]
fn an_endless_loop_at_the_top_level_is_ended() {
    let rig = Rig::for_scripts();
    let told = rig.wrong_js("for (;;) {}\nexport function event() {}", "limits time=\"100ms\"");
    assert!(told.contains("script tag broke while it was loaded: deadline: "), "{told}");
}

#[tokio::test]
async fn deep_recursion_throws_and_the_script_can_catch_it() {
    let rig = Rig::for_scripts();
    let script = rig.js("function deep(n) { return 1 + deep(n + 1); }\n\
         const nested = n => n === 0 ? 0 : [n].map(() => nested(n - 1))[0];\n\
         export function event(e) {\n\
           const name = f => { try { f(); return 'nothing'; } catch (e) { return e.constructor.name; } };\n\
           const text = '['.repeat(100000);\n\
           e.text = [name(() => deep(0)), name(() => nested(100000)), name(() => JSON.parse(text)),\n\
             name(() => new RegExp('('.repeat(100000)))].join();\n\
         }");
    let out = bodies(&script.intercept(batch(&["a"])).await.unwrap());
    assert!(out[0].starts_with("RangeError,RangeError,"), "{out:?}");
    assert_eq!(rig.count("faults_total", ""), 0);
}

#[tokio::test]
async fn memory_is_bounded_and_the_script_is_told_first() {
    let rig = Rig::for_scripts();
    let text = "export function event(e) {\n\
                  if (e.text !== 'bomb') return;\n\
                  const kept = [];\n  for (;;) kept.push(new Uint8Array(1 << 16));\n}";
    let script = rig
        .script(&Script { text, options: "limits memory=\"24MiB\"" })
        .unwrap_or_else(|told| panic!("{told}"));
    let out = script.intercept(batch(&["a", "bomb", "b"])).await.unwrap();
    assert_eq!(bodies(&out), ["a", "b"]);
    let reason = &rejection(&out.diverted()[0]).reason;
    assert!(reason.contains("out of memory") && reason.contains("scripts/x.js:4:"), "{reason}");
    let text = "export function event(e) { let s = 'xx'; for (;;) s += s; }";
    let script = rig
        .script(&Script { text, options: "limits memory=\"24MiB\"" })
        .unwrap_or_else(|told| panic!("{told}"));
    assert!(script.intercept(batch(&["a"])).await.unwrap().diverted().len() == 1);
}

#[tokio::test]
async fn what_a_script_keeps_of_a_call_is_useless_in_the_next() {
    let rig = Rig::for_scripts();
    let script = rig.js("let kept;\nexport function intercept(batch, edits) {\n\
         if (kept) edits.setBody(0, new TextDecoder().decode(kept));\nelse kept = batch.body(0);\n}");
    script.intercept(batch(&["first"])).await.unwrap();
    // A view lives as long as somebody has it; it shows what it showed.
    assert_eq!(bodies(&script.intercept(batch(&["second"])).await.unwrap()), ["first"]);
    let script = rig.js(
        "let later;\nexport async function intercept(batch, edits) { later ??= batch; edits.setBody(0, String(later.count)); }\n\
         export const x = 1;",
    );
    script.intercept(batch(&["a"])).await.unwrap();
    assert_eq!(bodies(&script.intercept(batch(&["a", "b"])).await.unwrap()), ["2", "b"]);
    let told = rig.wrong_js(
        "const g = globalThis; let seen;\nexport function configure() { return [String(g.batch), typeof g.edits]; }\n\
         export function event() {}",
        "",
    );
    assert!(told.contains("script tag: undefined"), "{told}");
}
