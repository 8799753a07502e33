//! The events of a command: decoded as a slow decoder would, and a stream that was cut has no exit.

use std::fmt;

use fastvm::ExecEvent;
use fastvm_tests::fuzz;
use futures_util::StreamExt;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{corpus, fake};

const WORDS: [&[u8]; 14] = [
    b"{\"t\":\"o\",\"d\":\"aGk=\"}\n",
    b"{\"t\":\"x\"}\n",
    b"{\"t\":\"x\",\"c\":1,\"to\":true,\"ms\":5,\"d\":\"why\"}\n",
    b"\n",
    b"\r\n",
    b"null",
    b"[\"x\"]",
    b"\"t\":",
    b"\"c\":",
    b"-1",
    b"1e3",
    b"\\u0078",
    b"\\ud800",
    b"\xc3\xa4",
];

/// The events, and whether an error came after them.
fn decoded(bytes: &[u8], runtime: &tokio::runtime::Runtime) -> (Vec<ExecEvent>, bool) {
    let body = bytes.to_vec();
    let client = fake::answering(move |_| fake::in_pieces(&body));
    runtime.block_on(async {
        let mut stream = client.vms().stream("vm-1", "true").await.unwrap();
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => events.push(event),
                Err(_) => {
                    assert!(stream.next().await.is_none(), "nothing follows an error");
                    return (events, true);
                }
            }
        }
        (events, false)
    })
}

/// What is in a line by its plain meaning: an object with the documented fields. `None` is none of an
/// event, `Some(None)` one that is passed over.
fn plainly(line: &[u8]) -> Option<Option<Value>> {
    if line.trim_ascii().is_empty() {
        return Some(None);
    }
    let Fields(event) = serde_json::from_slice(line).ok()?;
    let is = |key: &str, fits: &dyn Fn(&Value) -> bool| {
        event
            .get(key)
            .is_none_or(|value| value.is_null() || fits(value))
    };
    let is_i32 = |value: &Value| value.as_i64().is_some_and(|n| i32::try_from(n).is_ok());
    let is_whole = is("d", &Value::is_string)
        && is("c", &is_i32)
        && is("to", &Value::is_boolean)
        && is("ms", &Value::is_u64);
    let kind = event.get("t")?.as_str()?;
    if !is_whole {
        return None;
    }
    let data = event.get("d").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "o" | "e" => base64(data.as_bytes()).map(|_| Some(event.into())),
        "x" => Some(Some(event.into())),
        _ => Some(None),
    }
}

/// The known fields of an object, each at most once: nobody can choose between two. What is in others
/// is not looked at.
struct Fields(serde_json::Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = serde_json::Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if !["t", "d", "c", "to", "ms"].contains(&key.as_str()) {
                map.next_value::<IgnoredAny>()?;
            } else if fields.insert(key, map.next_value()?).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(Fields(fields))
    }
}

/// One letter after the other. Padding is needed, and what is left over of the last letter is zero.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let plain = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"="));
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for letter in plain.unwrap_or(text) {
        let value = LETTERS.iter().position(|known| known == letter)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0 && held < 6).then_some(bytes)
}

/// Whether a decoded event is what the line says.
fn is_same(event: &ExecEvent, line: &Value) -> bool {
    let data = line["d"].as_str().unwrap_or_default();
    match event {
        ExecEvent::Stdout(bytes) => {
            line["t"] == "o" && base64(data.as_bytes()).is_some_and(|data| data == *bytes)
        }
        ExecEvent::Stderr(bytes) => {
            line["t"] == "e" && base64(data.as_bytes()).is_some_and(|data| data == *bytes)
        }
        ExecEvent::Exit(exit) => {
            line["t"] == "x"
                && i64::from(exit.code) == line["c"].as_i64().unwrap_or(0)
                && exit.timed_out == line["to"].as_bool().unwrap_or(false)
                && exit.duration.as_millis() == u128::from(line["ms"].as_u64().unwrap_or(0))
                && exit.message.as_deref().unwrap_or_default() == data
        }
        _ => false,
    }
}

#[test]
fn events_are_what_their_lines_say_and_a_cut_stream_has_no_exit() {
    let runtime = fake::runtime();
    fuzz(&corpus("events"), &WORDS, |input| {
        let mut expected = Vec::new();
        let mut is_wrong = false;
        let mut whole_exit = None;
        let mut end = 0;
        for line in input.split(|byte| *byte == b'\n') {
            end += line.len();
            match plainly(line) {
                None => is_wrong = true,
                Some(None) => {}
                Some(Some(event)) => {
                    let is_exit = event["t"] == "x";
                    expected.push(event);
                    if is_exit {
                        whole_exit = Some(end - line.len() + line.trim_ascii_end().len());
                    }
                }
            }
            end += 1;
            if is_wrong || whole_exit.is_some() {
                break;
            }
        }
        let (events, failed) = decoded(input, &runtime);
        assert_eq!(events.len(), expected.len(), "{events:?} for {expected:?}");
        for (event, line) in events.iter().zip(&expected) {
            assert!(is_same(event, line), "{event:?} for {line}");
        }
        assert_eq!(
            failed,
            whole_exit.is_none(),
            "an error without an exit, and only then"
        );
        if let Some(whole) = whole_exit.filter(|whole| *whole > 0) {
            for cut in [whole - 1, whole / 2, whole / 3] {
                let (events, failed) = decoded(&input[..cut], &runtime);
                let has_exit = matches!(events.last(), Some(ExecEvent::Exit(_)));
                assert!(failed && !has_exit, "an exit of {cut} of {whole} bytes");
            }
        }
        format!(
            "{} events, wrong: {is_wrong}, exit: {}",
            events.len().min(4),
            whole_exit.is_some()
        )
    });
}
