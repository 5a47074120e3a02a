//! What scripts can call, each function with its exact result.

use millrace_core::{Batch, Destination, Event};

use crate::{
    script_rig::{Script, raw},
    support::{Rig, batch, bodies, rejection, shown},
};

/// Three events: text with headers, bytes that are no text, nothing.
fn mixed() -> Batch {
    let mut first = Event::new("größe 7");
    first.headers.set("level".into(), "info".into());
    first.headers.set("host".into(), "web-1".into());
    let mut second = Event::new(vec![0xff, 0x00, 0xfe]);
    second.headers.set("level".into(), "".into());
    Batch::new(vec![first, second, Event::new("")])
}

/// Runs a script that puts `text` into the body of the first event.
async fn said(script: &str, batch: Batch) -> String {
    let rig = Rig::for_scripts();
    let text = format!(
        "export function intercept(batch, edits) {{\nconst said = (() => {{ {script} }})();\n\
         edits.setBody(0, typeof said === 'string' ? said : JSON.stringify(said));\n}}"
    );
    bodies(&rig.js(&text).intercept(batch).await.unwrap()).remove(0)
}

#[tokio::test]
async fn everything_that_a_batch_tells_is_exact() {
    let cases = [
        ("return [batch.count, batch.bodyBytes]", "[3,12]"),
        ("return [batch.formedAt, String(batch.formedAtNanos), Date.now()]", "[1000,\"1000000000\",1000]"),
        ("return new Date().toISOString()", "1970-01-01T00:00:01.000Z"),
        ("return [...batch.body(1)]", "[255,0,254]"),
        ("return batch.bodies().map(body => body.length)", "[9,3,0]"),
        ("return [batch.text(0), batch.text(1), batch.text(2)]", "[\"größe 7\",null,\"\"]"),
        (
            "return [batch.header(0, 'level'), batch.header(1, 'level'), batch.header(2, 'level')]",
            "[\"info\",\"\",null]",
        ),
        ("return batch.headerColumn('level')", "[\"info\",\"\",null]"),
        ("return batch.headers(0)", "{\"level\":\"info\",\"host\":\"web-1\"}"),
        ("return batch.headers(2)", "{}"),
        ("return batch.headerNames().sort()", "[\"host\",\"level\"]"),
        ("return [...batch.find('7')]", "[0]"),
        ("return [...batch.find(new Uint8Array([0]))]", "[1]"),
        ("return [...batch.find('')]", "[0,1,2]"),
        ("return [...batch.findHeader('level', '')]", "[1]"),
        ("return [...batch.findHeader('host', null)]", "[1,2]"),
        ("return [...batch.runs('a-z')]", "[0,0,2,0,6,7]"),
        ("return [...batch.runs('0-9 ', 2, 2)]", "[0,7,9]"),
        (
            "const body = batch.body(0); return body === batch.body(0) || body.buffer === batch.body(1).buffer",
            "true",
        ),
        ("return Math.random() === Math.random()", "false"),
        ("return new TextDecoder().decode(new TextEncoder().encode('größe'))", "größe"),
        ("return new TextDecoder().decode(batch.body(1))", "\u{fffd}\0\u{fffd}"),
    ];
    for (script, expected) in cases {
        assert_eq!(said(script, mixed()).await, expected, "{script}");
    }
}

#[tokio::test]
async fn wrong_arguments_are_exceptions_that_say_what_was_expected() {
    let cases = [
        ("batch.body(3)", "RangeError: there is no row 3 in a batch of 3"),
        ("batch.body(-1)", "TypeError: a row is a whole number from 0, not -1"),
        ("batch.body(0.5)", "TypeError: a row is a whole number from 0, not 0.5"),
        ("batch.text('0')", "TypeError: a row is a whole number from 0, not a string"),
        ("batch.body(0)[0] = 1; throw new Error(batch.text(0))", "Error: größe 7"),
        ("batch.header(0)", "TypeError"),
        ("edits.drop([0, 9])", "RangeError: there is no row 9 in a batch of 3"),
        ("edits.setBody(0, 5)", "TypeError: a body is a string or a Uint8Array, not a number"),
        ("edits.setBody(0, '\\ud800')", "TypeError: a body holds half of a character"),
        ("edits.setHeader(0, 'a', undefined)", "TypeError: the value of a header is a string, not undefined"),
        ("edits.setHeader(0, '', 'x')", "TypeError: the name of a header is not empty"),
        ("edits.split(0, 'x')", "TypeError: split takes an array of events, not a string"),
        (
            "edits.split(0, [5])",
            "TypeError: an event is a string, a Uint8Array or { body, headers }, not a number",
        ),
        (
            "edits.split(1, []); edits.split(0, [])",
            "RangeError: rows are split in ascending order, each once: row 0 came after row 1",
        ),
        ("batch.runs('z-a')", "TypeError: a class of bytes is written like \"0-9A-F\", in ASCII"),
        ("metrics.counterAdd('x', [], -1)", "RangeError: a counter goes up by whole numbers, not by -1"),
        (
            "new TextDecoder('utf-8', { fatal: true }).decode(batch.body(1))",
            "TypeError: the bytes are not UTF-8",
        ),
    ];
    for (script, expected) in cases {
        let caught = format!(
            "try {{ {script} }} catch (e) {{ return `${{e.name}}: ${{e.message}}` }} return 'nothing'"
        );
        let found = said(&caught, mixed()).await;
        assert!(found.starts_with(expected), "{script}: {found}");
    }
}

#[tokio::test]
async fn every_edit_does_what_it_says() {
    let rig = Rig::for_scripts();
    let run = async |script: &str, bodies: &[&str]| {
        let text = format!("export function intercept(batch, edits) {{ {script} }}");
        shown(&rig.js(&text).intercept(batch(bodies)).await.unwrap())
    };
    assert_eq!(run("", &["a", "b"]).await, ["a []", "b []"]);
    assert_eq!(run("edits.drop(1)", &["a", "b", "c"]).await, ["a []", "c []"]);
    assert_eq!(run("edits.drop([0, 2])", &["a", "b", "c"]).await, ["b []"]);
    assert_eq!(run("edits.drop(batch.find('b'))", &["a", "b"]).await, ["a []"]);
    assert_eq!(
        run("edits.setBody(0, 'ä'); edits.setBody(1, new Uint8Array([65]))", &["a", "b"]).await,
        ["ä []", "A []"]
    );
    assert_eq!(run("edits.setBody(0, batch.body(1).subarray(1))", &["a", "bcd"]).await, ["cd []", "bcd []"]);
    assert_eq!(
        run("edits.setHeader(0, 'n', 1); edits.setHeader([0, 1], 'm', true)", &["a", "b"]).await,
        ["a [n=1 m=true]", "b [m=true]"]
    );
    assert_eq!(
        run("edits.setHeaderOnAll('k', 'v'); edits.setHeaderOnAll('l', 'w')", &["a", "b"]).await,
        ["a [k=v l=w]", "b [k=v l=w]"]
    );
    assert_eq!(
        run("edits.setHeaderOnAll('k', 'v'); edits.removeHeader(0, 'k')", &["a", "b"]).await,
        ["a []", "b [k=v]"]
    );
    assert_eq!(run("edits.setHeader(0, 'k', 'v'); edits.removeHeaderOnAll('k')", &["a"]).await, ["a []"]);
    assert_eq!(
        run("edits.split(0, ['x', new Uint8Array([66]), { body: 'y', headers: { n: 1 } }]); edits.split(1, [])", &["a", "b"])
            .await,
        ["x []", "B []", "y [n=1]"]
    );
}

#[tokio::test]
async fn events_are_routed_where_it_is_granted_and_rejected_with_their_reason() {
    let rig = Rig::for_scripts();
    let text = "export function intercept(batch, edits) {\n\
                edits.route(batch.find('r'), 'audit');\nedits.reject(2, 'no good');\n}";
    let script = Script { text, options: "grant { channel \"audit\" }" };
    let interceptor = rig.script(&script).unwrap_or_else(|told| panic!("{told}"));
    let out = interceptor.intercept(batch(&["r", "s", "t"])).await.unwrap();
    assert_eq!(bodies(&out), ["s"]);
    let [routed, rejected] = out.diverted() else { panic!("{:?}", out.diverted()) };
    assert!(matches!(&routed.destination, Destination::Channel(name) if &**name == "audit"));
    assert_eq!(rejection(rejected).reason, "no good");
}

#[tokio::test]
async fn a_script_for_single_events_may_answer_in_every_way() {
    let rig = Rig::for_scripts();
    let script = rig.js("export function event(e) {\n\
           switch (e.text) {\n\
             case null: e.body = new Uint8Array([1, ...e.body]); return true;\n\
             case 'drop': return false;\n\
             case 'keep': return;\n\
             case 'self': e.headers.n = e.row; delete e.headers.level; return e;\n\
             case 'text': e.text = e.text.toUpperCase(); e.headers = { only: 'this' }; return true;\n\
             case 'other': return { body: 'another', headers: { level: e.header('level') } };\n\
             case 'many': return ['one', { body: 'two' }];\n\
             case 'reject': throw new Reject('because');\n\
           }\n\
         }");
    let names = ["drop", "keep", "self", "text", "other", "many", "reject"];
    let mut events: Vec<Event> = names.iter().map(|name| Event::new(name.as_bytes().to_vec())).collect();
    events.push(Event::new(vec![0xff]));
    for event in &mut events {
        event.headers.set("level".into(), "x".into());
    }
    let out = script.intercept(Batch::new(events)).await.unwrap();
    assert_eq!(
        shown(&out)[..6],
        ["keep [level=x]", "self [n=2]", "TEXT [only=this]", "another [level=x]", "one []", "two []"]
    );
    assert_eq!(out.events()[6].body[..], [1, 0xff]);
    assert_eq!(rejection(&out.diverted()[0]).reason, "because");
}

#[tokio::test]
async fn options_reach_configure_and_mistakes_in_them_come_back_to_their_place() {
    let rig = Rig::for_scripts();
    let text = "let tag;\nexport function configure(config, instance) {\n\
                if (config.tag === 'bad') return [{ path: '/tag', reason: 'must be good' }];\n\
                tag = `${config.tag}/${config.list.join('+')}/${instance.agent}/${instance.component}/${instance.generation}`;\n}\n\
                export function intercept(batch, edits) { edits.setHeaderOnAll('tag', tag); }";
    let good =
        rig.script(&Script { text, options: "tag \"x\"\nlist 1 2" }).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(shown(&good.intercept(batch(&["a"])).await.unwrap()), ["a [tag=x/1+2/edge/tag/7]"]);
    let told = rig.wrong_js(text, "tag \"bad\"");
    assert!(told.contains("error[script::configure]: script tag: must be good"), "{told}");
    assert!(told.contains("tag \"bad\"") && told.contains("--> agent.kdl:6:"), "{told}");
    let told = rig.wrong_js("export function event(e) {}", "tagg \"x\"");
    assert!(told.contains("exports no configure(config), so it has no options"), "{told}");
}

#[tokio::test]
async fn an_asynchronous_script_is_waited_for_as_far_as_it_goes() {
    let rig = Rig::for_scripts();
    let script = rig.js("const word = await Promise.resolve('later');\n\
         export async function intercept(batch, edits) { await null; edits.setBody(0, word); }");
    assert_eq!(bodies(&script.intercept(batch(&["a"])).await.unwrap()), ["later"]);
}

#[tokio::test]
async fn a_source_in_the_configuration_needs_no_file() {
    let rig = Rig::for_scripts();
    let section = "source #\"\"\"\nexport function event(e) {\n    e.text = e.text + '!';\n}\n\"\"\"#";
    let script = rig.script_in("", section).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(bodies(&script.intercept(batch(&["a", "b"])).await.unwrap()), ["a!", "b!"]);
}

#[tokio::test]
async fn a_body_of_a_mebibyte_and_bytes_of_every_kind_pass_unharmed() {
    let rig = Rig::for_scripts();
    let script = rig.js(
        "export function intercept(batch, edits) {\n\
         for (let row = 0; row < batch.count; row++) edits.setBody(row, batch.body(row).slice().reverse());\n}",
    );
    let large: Vec<u8> =
        (0..1 << 20).map(|at: u32| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let all: Vec<u8> = (0..=255).collect();
    let out = script.intercept(raw(&[&large, &all, b""])).await.unwrap();
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<_>>();
    assert_eq!(out.events()[0].body, reversed(&large));
    assert_eq!(out.events()[1].body, reversed(&all));
    assert!(out.events()[2].body.is_empty());
}

#[tokio::test]
async fn failures_are_answers_for_the_whole_batch() {
    let rig = Rig::for_scripts();
    let throwing = |what: &str| rig.js(&format!("export function intercept() {{ throw new {what}; }}"));
    let error = throwing("Retry(250)").intercept(batch(&["a"])).await.unwrap_err();
    assert_eq!(error.after, Some(std::time::Duration::from_millis(250)));
    assert_eq!(bodies(&error.batch), ["a"]);
    let out = throwing("Reject('never')").intercept(batch(&["a", "b"])).await.unwrap();
    assert_eq!(out.diverted().len(), 2);
    assert_eq!(rejection(&out.diverted()[0]).reason, "never");
    let error = throwing("Fatal('broken')").intercept(batch(&["a"])).await.unwrap_err();
    assert!(error.source.to_string().contains("gave up twice: broken"), "{}", error.source);
    assert_eq!(rig.count("faults_total", ""), 0);
}
