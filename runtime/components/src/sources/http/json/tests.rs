use bytes::Bytes;
use millrace_core::Event;

use super::{Refused, events};
use crate::charset::Charset;

fn read(text: &str) -> Result<Vec<Event>, Refused> {
    events(&Bytes::copy_from_slice(text.as_bytes()), None, 1000)
}

/// Events as `name=value,…|body`.
fn shown(events: &[Event]) -> Vec<String> {
    let event = |event: &Event| {
        let headers: Vec<String> =
            event.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}|{}", headers.join(","), String::from_utf8_lossy(&event.body))
    };
    events.iter().map(event).collect()
}

#[test]
fn events_are_read_with_headers_and_body_in_any_order() {
    for (text, expected) in [
        ("[]", vec![]),
        (" [ ] \n", vec![]),
        (r#"[{"headers":{"a":"1","b":"2"},"body":"x"}]"#, vec!["a=1,b=2|x"]),
        (r#"[{"body":"x","headers":{"a":"1"}},{"body":"y"}]"#, vec!["a=1|x", "|y"]),
        ("[{}]", vec!["|"]),
        (r#"[{"headers":null,"body":null}]"#, vec!["|"]),
        (r#"[{"headers":{},"body":""}]"#, vec!["|"]),
        (r#"[{"body":"first","body":"last"}]"#, vec!["|last"]),
        (
            r#"[{"body":1e5,"headers":{"n":-1.50,"t":true,"f":FALSE,"z":null}}]"#,
            vec!["n=-1.50,t=true,f=false|1e5"],
        ),
        (r#"[{"x":{"y":[1,{"z":[]},"]"],"q":{}},"body":"b","w":[[],[[]]]}]"#, vec!["|b"]),
        ("\u{feff}[{\"body\":\"bom\"}]", vec!["|bom"]),
        (r#"[{"body":"grün €😀"}]"#, vec!["|grün €😀"]),
    ] {
        assert_eq!(shown(&read(text).unwrap()), expected, "{text}");
    }
}

#[test]
fn escapes_stand_for_what_they_mean() {
    for (text, expected) in [
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"\u00e4\u20AC\ud83d\ude00", "ä€😀"),
        (r"a\ud83dx", "a\u{fffd}x"),
        (r"\ud83d\u0041\ude00", "\u{fffd}A\u{fffd}"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        (r"it\'s", "it's"),
        ("raw\nline\tbreak", "raw\nline\tbreak"),
    ] {
        let events = read(&format!("[{{\"body\":\"{text}\"}}]")).unwrap();
        assert_eq!(events[0].body, expected, "{text}");
    }
}

#[test]
fn the_reader_is_as_lenient_as_flumes() {
    for (text, expected) in [
        ("[{'body':'x'}]", vec!["|x"]),
        ("[{body:x}]", vec!["|x"]),
        ("[{body=x;headers={a=>1}};{body:'y'}]", vec!["|y"]),
        ("// before\n[ # one\n{ /* two */ \"body\" : \"x\" } ] // after", vec!["|x"]),
    ] {
        let mut expected = expected;
        if text.contains("=>") {
            expected.insert(0, "a=1|x");
        }
        assert_eq!(shown(&read(text).unwrap()), expected, "{text}");
    }
}

#[test]
fn what_is_not_json_or_not_a_list_of_events_is_the_clients_mistake() {
    for text in [
        "[",
        "[{",
        "[{}",
        "[{]",
        "{}",
        "{\"body\":\"x\"}",
        "1",
        "\"text\"",
        "true",
        "nul",
        "[1]",
        "[\"x\"]",
        "[true]",
        "[[]]",
        "[{\"body\":[]}]",
        "[{\"body\":{}}]",
        "[{\"headers\":[]}]",
        "[{\"headers\":\"x\"}]",
        "[{\"headers\":{\"a\":{}}}]",
        "[{\"headers\":{\"a\":[\"b\"]}}]",
        "[{\"headers\":{\"a\":\"1\",\"a\":\"2\"}}]",
        "[{\"body\"}]",
        "[{\"body\":}]",
        "[{\"body\":\"x\",}]",
        "[{,}]",
        "[{\"body\":\"x\" \"y\":1}]",
        "[{\"body\":\"x}]",
        "[{\"body\":\"\\x\"}]",
        "[{\"body\":\"\\u12g4\"}]",
        "[{\"body\":\"\\u12\"}]",
        "[{\"body\":\"\\",
        "[{} {}]",
        "[{}]]",
        "[{}] x",
        "[] []",
        "/* open",
        "[{}/",
        "\u{0}",
        "[\u{0}]",
        "]",
        "}",
        ",",
    ] {
        assert_eq!(read(text).unwrap_err().status(), 400, "{text:?}");
    }
}

#[test]
fn nothing_where_events_should_be_is_flumes_internal_error() {
    for text in ["", "  \n", "null", " NULL ", "// nothing", "[null]", "[{},null]", "[{},]", "[,]", "[;{}]"] {
        assert_eq!(read(text).unwrap_err().status(), 500, "{text:?}");
    }
}

#[test]
fn hostile_nesting_and_hostile_headers_end_in_an_answer() {
    let deep = "[".repeat(100_000);
    assert_eq!(read(&format!("[{{\"x\":{deep}")).unwrap_err().status(), 400);
    assert_eq!(read(&deep).unwrap_err().status(), 400);
    let fine = format!("[{{\"x\":{}{},\"body\":\"b\"}}]", "[".repeat(200), "]".repeat(200));
    assert_eq!(shown(&read(&fine).unwrap()), ["|b"]);
    let headers = |count: usize| -> String {
        let all: Vec<String> = (0..count).map(|number| format!("\"h{number}\":\"v\"")).collect();
        format!("[{{\"headers\":{{{}}}}}]", all.join(","))
    };
    assert_eq!(read(&headers(1000)).unwrap()[0].headers.len(), 1000);
    assert_eq!(read(&headers(1001)).unwrap_err().status(), 400);
    let repeated = headers(100).replace("\"h99\"", "\"h3\"");
    assert_eq!(read(&repeated).unwrap_err().status(), 400);
}

#[test]
fn every_cut_of_a_request_is_refused() {
    let text = r#"[{"headers":{"a":"1","b":null},"x":[1,{"y":'z'}],"body":"é\u00e9"},{"body":tail}]"#;
    assert!(read(text).is_ok());
    for end in (1..text.len()).filter(|end| text.is_char_boundary(*end)) {
        assert_eq!(read(&text[..end]).unwrap_err().status(), 400, "{}", &text[..end]);
    }
}

#[test]
fn bodies_are_slices_of_the_request_and_equal_headers_are_shared() {
    let request = Bytes::from_static(
        br#"[{"headers":{"a":"1"},"body":"one"},{"headers":{"a":"1"},"body":"two"},{"headers":{"a":"2"},"body":"3"}]"#,
    );
    let events = events(&request, None, 10).unwrap();
    assert!(events.iter().all(|event| request.as_ptr_range().contains(&event.body.as_ptr())));
    assert!(events[0].headers.is_same_list(&events[1].headers));
    assert!(!events[0].headers.is_same_list(&events[2].headers));
}

#[test]
fn the_character_set_is_that_of_the_request_and_of_the_bodies() {
    let text = r#"[{"headers":{"k":"ä"},"body":"ä"}]"#;
    for (name, body) in
        [("utf-8", &b"\xc3\xa4"[..]), ("UTF-16", b"\xfe\xff\x00\xe4"), ("\"Utf-32\"", b"\0\0\0\xe4")]
    {
        let charset = Charset::named(name.trim_matches('"')).unwrap();
        let request = Bytes::from(charset.encode(text).into_owned());
        let read = events(&request, Some(&format!("application/json; charset={name}")), 10).unwrap();
        assert_eq!((read[0].header("k").unwrap().as_ref(), &read[0].body[..]), ("ä", body), "{name}");
    }
    for content_type in ["text/plain; charset=iso-8859-1", "application/json;charset=utf-7"] {
        let refused = events(&Bytes::from_static(b"[]"), Some(content_type), 10).unwrap_err();
        assert_eq!(refused.status(), 500, "{content_type}");
    }
    let invalid = events(&Bytes::from_static(b"[{\"body\":\"a\xffb\"}]"), Some("text/plain"), 10).unwrap();
    assert_eq!(invalid[0].body, "a\u{fffd}b");
}
