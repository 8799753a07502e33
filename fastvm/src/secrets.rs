//! What a request holds that must be in no message: a service may repeat what it was sent.

use fastvm_api::operations::SECRET_FIELDS;
use reqwest::Request;
use serde_json::Value;

/// A longer body is one of much standard input, which nobody repeats.
const LONGEST_BODY: usize = 1024 * 1024;

/// The secrets of a request, the longest first, since one can be a part of another.
pub(crate) fn of(request: &Request) -> Vec<String> {
    let headers = request.headers().values();
    let mut secrets: Vec<String> = headers
        .filter(|value| value.is_sensitive())
        .filter_map(|value| value.to_str().ok().map(str::to_owned))
        .collect();
    let body = request.body().and_then(reqwest::Body::as_bytes);
    let body = body.filter(|body| body.len() <= LONGEST_BODY);
    if let Some(body) = body.and_then(|body| serde_json::from_slice(body).ok()) {
        find(&body, false, &mut secrets);
    }
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

fn find(node: &Value, is_secret: bool, found: &mut Vec<String>) {
    match node {
        Value::String(text) if is_secret => {
            // A part may be repeated alone: a login of a file of them, the signature of a URL.
            let parts = match text.split_once('?') {
                _ if text.contains('\n') => text,
                Some((_, query)) => query,
                None => "",
            };
            let parts = parts.split(|c: char| c.is_whitespace() || matches!(c, '=' | '&'));
            found.extend(parts.map(str::to_owned));
            found.push(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| find(item, is_secret, found)),
        Value::Object(fields) => {
            for (name, field) in fields {
                let is_secret = is_secret || SECRET_FIELDS.contains(&name.as_str());
                find(field, is_secret, found);
            }
        }
        _ => {}
    }
}
