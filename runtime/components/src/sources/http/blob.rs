//! A request as one event: its body as it is, the parameters of its query as headers.

use bytes::Bytes;
use bytestring::ByteString;
use millrace_core::{Event, Headers};

use super::request::Refused;

/// The event of a request. Of a parameter given several times the first counts.
pub(super) fn event(
    body: Bytes,
    query: &str,
    mandatory: &[String],
    headers_max: usize,
) -> Result<Event, Refused> {
    let mut headers: Vec<(ByteString, ByteString)> = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = decoded(name);
        if headers.iter().any(|(known, _)| *known == *name) {
            continue;
        }
        if headers.len() == headers_max {
            return Err(Refused::bad_request(format!("more than {headers_max} parameters")));
        }
        headers.push((name.into(), decoded(value).into()));
    }
    for name in mandatory {
        if !headers.iter().any(|(known, _)| *known == **name) {
            return Err(Refused::failed(format!("the mandatory parameter `{name}` is missing")));
        }
    }
    Ok(Event::with_headers(headers.into_iter().collect::<Headers>(), body))
}

/// `%41` and `+` as what they stand for; what is not such a code stays.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let code = match behind {
            [high, low, ..] if *byte == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        rest = behind;
        match (byte, code) {
            (_, Some((high, low))) => {
                out.push(high << 4 | low);
                rest = behind.get(2..).unwrap_or_default();
            }
            (b'+', None) => out.push(b' '),
            (byte, None) => out.push(*byte),
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::event;

    fn headers(query: &str) -> Vec<(String, String)> {
        let event = event("x".into(), query, &[], 5).unwrap();
        event.headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn parameters_are_decoded_and_the_first_of_a_name_counts() {
        for (query, expected) in [
            ("", vec![]),
            ("a=1&b=2&a=3", vec![("a", "1"), ("b", "2")]),
            ("a=x%20y+z&%c3%a4=%C3%A4", vec![("a", "x y z"), ("ä", "ä")]),
            ("flag&&empty=&=v", vec![("flag", ""), ("empty", ""), ("", "v")]),
            ("a=%zz%4&b=%ff", vec![("a", "%zz%4"), ("b", "\u{fffd}")]),
            ("a=b=c", vec![("a", "b=c")]),
        ] {
            let expected: Vec<(String, String)> =
                expected.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
            assert_eq!(headers(query), expected, "{query}");
        }
    }

    #[test]
    fn what_is_mandatory_has_to_be_there_and_there_is_a_most() {
        let mandatory = ["a".to_owned()];
        assert!(event("x".into(), "a=", &mandatory, 5).is_ok());
        assert_eq!(event("x".into(), "b=1", &mandatory, 5).unwrap_err().status(), 500);
        assert_eq!(event("x".into(), "a&b&c&d&e&f", &[], 5).unwrap_err().status(), 400);
    }
}
