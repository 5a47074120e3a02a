//! The redaction filter as a script, compared with the rule in Rust, and what scripts cost.

use std::path::Path;

use millrace_core::{Batch, Event};

use crate::{script_rig::Script, support::Rig};

fn redact() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../guest-sdk/script/template/interceptor/my-plugin.js");
    std::fs::read_to_string(path).unwrap()
}

/// Every longest run of 13 to 19 digits is masked but for its last `keep`; how many there were.
fn rule(body: &[u8], mask: u8, keep: usize) -> (Vec<u8>, usize) {
    let mut out = body.to_vec();
    let mut masked = 0;
    let mut at = 0;
    while at < out.len() {
        let end = (at..out.len()).find(|at| !out[*at].is_ascii_digit()).unwrap_or(out.len());
        if (13..=19).contains(&(end - at)) {
            out[at..end - keep].fill(mask);
            masked += 1;
        }
        at = end + 1;
    }
    (out, masked)
}

/// Bodies with runs of every length, beside each other, at the ends, and among bytes that are no text.
fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = (0..40).map(|length| vec![b'4'; length]).collect();
    let mut state = 1_u32;
    for length in 0..300 {
        let body = (0..length).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = (state >> 24) as u8;
            if state >> 16 & 15 == 0 { byte } else { b'0' + byte % 10 }
        });
        bodies.push(body.collect());
    }
    bodies
        .extend([b"\xff4111111111111111\xfe".to_vec(), b"card 4111111111111111, 5500005555555559.".to_vec()]);
    bodies
}

#[tokio::test]
async fn the_redaction_script_does_exactly_what_the_rule_says() {
    let rig = Rig::for_scripts();
    for (options, mask, keep) in [("", b'#', 4), ("mask \"*\"\nkeep 0", b'*', 0), ("keep 13", b'#', 13)] {
        let script = rig.script(&Script { text: &redact(), options }).unwrap_or_else(|told| panic!("{told}"));
        let events = bodies().into_iter().map(Event::new).collect();
        let out = script.intercept(Batch::new(events)).await.unwrap();
        for (event, body) in out.iter().zip(bodies()) {
            let (expected, masked) = rule(&body, mask, keep);
            assert_eq!(event.body, expected);
            let header = event.header("redacted").map(|value| value.to_string());
            assert_eq!(header, (masked > 0).then(|| masked.to_string()), "{body:?}");
        }
    }
    for (options, reason) in
        [("mask \"##\"", "one ASCII character"), ("keep 14", "0 to 13"), ("other 1", "no such option")]
    {
        let told = rig.wrong_js(&redact(), options);
        assert!(told.contains(reason) && told.contains("--> agent.kdl:"), "{told}");
    }
}
