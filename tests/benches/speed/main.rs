//! What the SDK costs over the least code that does the same calls. See `../README.md`.
//!
//! One program in three roles: it starts itself as the server, and, for each measurement, as a
//! client, whose time and memory are then its own.

#![forbid(unsafe_code)]

mod client;
mod files;
mod measure;
mod stub;
mod table;
mod works;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Figures by name, as processes tell each other.
pub(crate) type Report = BTreeMap<String, f64>;

pub(crate) fn report<const N: usize>(figures: [(&str, f64); N]) -> Report {
    figures
        .map(|(name, figure)| (name.to_owned(), figure))
        .into()
}

/// Where a child finds the key and the server, as any client of FastVM does.
pub(crate) const KEY: &str = "FASTVM_API_KEY";
pub(crate) const URL: &str = "FASTVM_BASE_URL";

/// Where a client finds the server's certificate, if it has one.
pub(crate) const CERTIFICATE: &str = "SPEED_CERTIFICATE";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        ["serve", new_certificate @ ..] => {
            let new_certificate = new_certificate.first().map(Path::new);
            stub::run(std::env::var(KEY)?, new_certificate)?;
        }
        ["client", who, task, work, parameters @ ..] => {
            let report = client::run(who, task, work, parameters)?;
            println!("{}", serde_json::json!(report));
        }
        words => return measure::run(&measure::Options::parse(words)?),
    }
    Ok(ExitCode::SUCCESS)
}

/// The time of day, the same for all processes.
pub(crate) fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64)
}

pub(crate) fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
