//! What is given to a command arrives as it is: through a real `sh`, as it runs in a VM.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use fastvm_tests::fuzz;
use serde_json::Value;

use crate::{corpus, fake};

const WORDS: [&[u8]; 16] = [
    b"'",
    b"\"",
    b"$(id)",
    b"`id`",
    b"\\",
    b"\n",
    b"${HOME}",
    b"*",
    b"~",
    b"-n",
    b"--",
    b";",
    b"=",
    b"\xc3\xa4",
    b"!!",
    b"\x1e",
];

/// Separates the texts of an input: NUL cannot be in an argument, and this seldom is.
const SEPARATOR: char = '\u{1e}';

#[test]
fn arguments_and_variables_arrive_byte_for_byte() {
    let runtime = fake::runtime();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let client = fake::answering(move |request| {
        let body = request
            .body()
            .and_then(reqwest::Body::as_bytes)
            .unwrap_or_default();
        *seen.lock().unwrap() = body.to_vec();
        reqwest::Body::from("{\"t\":\"x\"}\n")
    });
    fuzz(&corpus("quoting"), &WORDS, |input| {
        let text = String::from_utf8_lossy(input).replace('\0', "");
        let mut texts = text.split(SEPARATOR);
        let variable = texts.next().unwrap_or_default();
        let args: Vec<&str> = texts.collect();
        let script = r#"printf '%s\0' "$VARIABLE" "$PWD" "$@""#;
        let command = client
            .vms()
            .command("vm-1", "sh")
            .args(["-c", script, "sh"]);
        let command = command
            .args(args.clone())
            .env("VARIABLE", variable)
            .current_dir("/tmp");
        sent.lock().unwrap().clear();
        // What the fake answers does not matter.
        let _ = runtime.block_on(command.output());
        let request: Value = serde_json::from_slice(&sent.lock().unwrap()).expect("it was sent");
        let argv: Vec<&str> = request["command"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let ran = Command::new(argv[0])
            .args(&argv[1..])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let expected: String = [variable, "/tmp"]
            .iter()
            .chain(&args)
            .map(|text| format!("{text}\0"))
            .collect();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), expected);
        assert!(ran.status.success());
        format!("{} arguments", args.len().min(4))
    });
}
