//! Answers that are errors: whatever their body and headers, the error has its status, says
//! something in one line of bounded length, and asks for no pause that was not asked for.

use std::time::Duration;

use fastvm::{CallInfo, Error, ErrorKind, Outcome};
use fastvm_api::operations::EXEC_VM;
use fastvm_tests::fuzz;
use serde_json::Value;

use crate::{corpus, fake};

const WORDS: [&[u8]; 12] = [
    b"{\"error\":\"",
    b"\"error\":{\"message\":\"m\",\"code\":\"a_b\"}",
    b"\"message\":",
    b"\"detail\":",
    b"\"code\":",
    b"null",
    b"\\n",
    b"\\u001b[2J",
    b"<html>",
    b"\xff",
    b"[[[[",
    b"a_code",
];

#[test]
fn an_error_says_what_its_body_says_in_one_bounded_line() {
    let runtime = fake::runtime();
    fuzz(&corpus("error_body"), &WORDS, |input| {
        let status = [400, 404, 429, 500, 502][input.len() % 5];
        let response = http::Response::builder().status(status);
        let response = response.body(fake::in_pieces(input)).unwrap();
        let call = CallInfo::new(&EXEC_VM);
        let error = runtime.block_on(Error::from_response(response.into(), &call));
        assert_eq!(error.kind(), ErrorKind::Status);
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
        let is_rejected = error.outcome() == Outcome::Rejected;
        assert_eq!(is_rejected, status < 500);
        let (shown, all) = (error.to_string(), format!("{error:?}"));
        assert!(!shown.is_empty() && shown.chars().count() < 4000, "{shown}");
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert!(all.len() < 200_000);
        let body: Option<Value> = serde_json::from_slice(input).ok();
        let field = |name: &str| body.as_ref()?.get(name)?.as_str();
        if let Some(message) = field("message") {
            assert_eq!(error.message(), message);
        }
        if let Some(code) = field("code") {
            assert_eq!(error.code(), Some(code));
        }
        if body.is_none() {
            assert_eq!(error.code(), None);
        }
        let has = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
        format!(
            "{}, code: {}, message: {}",
            body.map_or("no JSON", |body| if body.is_object() {
                "an object"
            } else {
                "other"
            }),
            has(error.code()),
            has(Some(error.message()))
        )
    });
}

#[test]
fn a_pause_is_what_the_service_asks_for_or_none() {
    let words: [&[u8]; 11] = [
        b"Fri, 31 Dec 9999 23:59:59 GMT",
        b"Thu, 01 Jan 1970 00:00:00 GMT",
        b"-",
        b"1",
        b"1e400",
        b"nan",
        b"inf",
        b".5",
        b" ",
        b"GMT",
        b"18446744073709551616",
    ];
    // The first line is of milliseconds, the others of `Retry-After`.
    fuzz(&corpus("retry_after"), &words, |input| {
        let mut headers = http::HeaderMap::new();
        let mut lines = input.split(|byte| *byte == b'\n');
        let mut put = |name, value: Option<&[u8]>| {
            let value = value.filter(|value| !value.is_empty());
            if let Some(value) = value.and_then(|value| http::HeaderValue::from_bytes(value).ok()) {
                headers.append(http::HeaderName::from_static(name), value);
            }
        };
        put("retry-after-ms", lines.next());
        lines.for_each(|line| put("retry-after", Some(line)));
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
        let digits = |name: &str| -> Option<u64> {
            let text = text(name)?;
            let is_plain = !text.is_empty() && text.len() < 16;
            (is_plain && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| text.parse().ok())?
        };
        let (millis, seconds) = (digits("retry-after-ms"), digits("retry-after"));
        let has_millis = headers.contains_key("retry-after-ms");
        let is_absent = headers.is_empty();
        let status = http::StatusCode::SERVICE_UNAVAILABLE;
        let error = Error::new(ErrorKind::Status, "").with_answer(status, headers.clone());
        let pause = error.retry_after();
        if let Some(millis) = millis {
            let pause = pause.expect("milliseconds are understood");
            assert!(pause.abs_diff(Duration::from_millis(millis)) < Duration::from_millis(1));
        } else if let Some(seconds) = seconds.filter(|_| !has_millis) {
            assert_eq!(pause, Some(Duration::from_secs(seconds)));
        }
        assert!(!is_absent || pause.is_none());
        format!("{:?}", pause.map(|pause| pause.as_secs().min(2)))
    });
}
