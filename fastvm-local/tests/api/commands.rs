//! Commands, as one answer and as events.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_buffered_exec_answers_once_with_all() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let body =
        json!({"command": ["sh", "-c", "cat; echo oops >&2; exit 3"], "stdin": encode("in\0put")});
    for accept in [None, Some("*/*"), Some("application/json")] {
        let mut request = api.request(Method::POST, &format!("{vm}/exec")).json(&body);
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        let (status, output) = answer(request).await;
        assert_eq!((status, &output["exitCode"]), (200, &json!(3)));
        assert_eq!(
            (&output["stdout"], &output["stderr"]),
            (&json!("in\0put"), &json!("oops\n"))
        );
        assert_eq!(output["timedOut"], false);
        assert!(output["durationMs"].is_i64());
    }
}

#[tokio::test]
async fn events_come_as_they_happen() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let line = "echo first; until [ -e /tmp/go ]; do sleep 0.01; done; echo second >&2; exit 7";
    let mut events = api
        .stream(&vm, json!({"command": ["sh", "-c", line]}))
        .await;
    let first = events.next().await.unwrap().unwrap();
    assert_eq!(first, json!({"t": "o", "d": encode("first\n")}));
    api.sh(&vm, "touch /tmp/go").await;
    let (stdout, stderr, exit) = events.rest().await;
    assert_eq!(
        (stdout.as_slice(), stderr.as_slice()),
        (&b""[..], &b"second\n"[..])
    );
    assert_eq!((&exit["c"], &exit["to"]), (&json!(7), &json!(false)));
    assert!(exit["ms"].is_i64() && exit.get("d").is_none());
}

#[tokio::test]
async fn a_command_is_killed_at_its_limit_with_all_it_started() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let seconds = unique_seconds();
    let command = json!({"command": ["sh", "-c", format!("echo hi; sleep {seconds} & wait")], "timeoutSec": 1});
    let events = api.stream(&vm, command.clone()).await;
    let exec = format!("{vm}/exec");
    let buffered = api.post(&exec, command);
    let ((_, output), (stdout, _, exit)) = tokio::join!(buffered, events.rest());
    assert_eq!(
        (&output["exitCode"], &output["timedOut"], &output["stdout"]),
        (&json!(137), &json!(true), &json!("hi\n"))
    );
    assert_eq!(
        (&exit["c"], &exit["to"], stdout.as_slice()),
        (&json!(137), &json!(true), &b"hi\n"[..])
    );
    assert!(!is_running(&seconds));
}

#[tokio::test]
async fn a_buffered_exec_keeps_4_mib_and_a_stream_all() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let line = "yes xxäöü | head -c 6000000; yes | head -c 4194304 >&2";
    let output = api.sh(&vm, line).await;
    // The cap cuts a character of two bytes, which is left out.
    assert_eq!(
        output["stdout"].as_str().unwrap().len(),
        4 * 1024 * 1024 - 1
    );
    assert_eq!(output["stderr"].as_str().unwrap().len(), 4 * 1024 * 1024);
    assert_eq!(
        (&output["stdoutTruncated"], &output["stderrTruncated"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(output["exitCode"], 0);

    let (stdout, stderr, exit) = api
        .stream(&vm, json!({"command": ["sh", "-c", line]}))
        .await
        .rest()
        .await;
    assert_eq!(
        (stdout.len(), stderr.len(), &exit["c"]),
        (6_000_000, 4_194_304, &json!(0))
    );
    assert!(stdout.starts_with("xxäöü\nxxäöü\n".as_bytes()));
}

#[tokio::test]
async fn a_command_that_cannot_be_run_says_why() {
    let api = Api::start().await;
    let vm = api.vm().await;
    for (command, code) in [("nope", 127), ("/etc/passwd", 126)] {
        let (status, output) = api
            .post(&format!("{vm}/exec"), json!({"command": [command]}))
            .await;
        assert_eq!((status, &output["exitCode"]), (200, &json!(code)));
        assert!(output["stderr"].as_str().unwrap().contains(command));
        let (_, _, exit) = api
            .stream(&vm, json!({"command": [command]}))
            .await
            .rest()
            .await;
        assert_eq!(exit["c"], code);
        assert!(exit["d"].as_str().unwrap().contains(command));
    }
}

#[tokio::test]
async fn an_exec_that_makes_no_sense_is_refused() {
    let api = Api::start().await;
    let vm = api.vm().await;
    for (body, named) in [
        (json!({}), "command"),
        (json!({"command": []}), "command"),
        (json!({"command": ["", "x"]}), "command"),
        (json!({"command": "ls"}), "command"),
        (json!({"command": ["a\0b"]}), "command"),
        (json!({"command": ["cat"], "stdin": "no base64!"}), "stdin"),
        (json!({"command": ["cat"], "timeoutSec": 0}), "timeoutSec"),
        (json!({"command": ["cat"], "timeoutSec": 1.5}), "timeoutSec"),
    ] {
        let (status, refusal) = api.post(&format!("{vm}/exec"), body).await;
        assert_eq!(status, 400, "{refusal}");
        assert!(
            refusal["error"].as_str().unwrap().contains(named),
            "{refusal} does not name {named}"
        );
    }
}

#[tokio::test]
async fn a_command_outlives_its_client() {
    let api = Api::start().await;
    let vm = api.vm().await;
    // More than all buffers hold: it must not block on output that nobody reads.
    let line = |name: &str| format!("echo begun; yes | head -c 30000000; touch /root/{name}");
    let mut events = api
        .stream(&vm, json!({"command": ["sh", "-c", line("streamed")]}))
        .await;
    events.next().await.unwrap();
    drop(events);
    let buffered =
        json!({"command": ["sh", "-c", format!("touch /tmp/begun; {}", line("buffered"))]});
    let exec = format!("{vm}/exec");
    let given_up = async {
        eventually!(
            "it begins",
            api.sh(&vm, "test -e /tmp/begun").await["exitCode"] == 0
        );
    };
    tokio::select! {
        _ = api.post(&exec, buffered) => {}
        () = given_up => {}
    }
    for name in ["streamed", "buffered"] {
        eventually!(
            "it ends",
            api.sh(&vm, &format!("test -e /root/{name}")).await["exitCode"] == 0
        );
    }
}

#[tokio::test]
async fn a_slow_reader_gets_all() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let body = json!({"command": ["sh", "-c", "head -c 20000000 /dev/zero; touch /tmp/done"]});
    let events = api.stream(&vm, body).await;
    // The pipe, the channel and the sockets are full now, and the command waits for the reader.
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(api.sh(&vm, "test -e /tmp/done").await["exitCode"], 1);
    let (stdout, _, exit) = events.rest().await;
    assert_eq!((stdout.len(), &exit["c"]), (20_000_000, &json!(0)));
}

#[tokio::test]
async fn a_background_process_does_not_hold_up_the_answer() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let seconds = unique_seconds();
    let begin = Instant::now();
    let output = api
        .sh(&vm, &format!("sleep {seconds} & yes & echo hi"))
        .await;
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(output["stdout"].as_str().unwrap().contains("hi\n"));
    assert!(is_running(&seconds));
}

#[tokio::test]
async fn a_stream_is_cut_when_its_vm_is_deleted() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let command = json!({"command": ["sh", "-c", "echo hi; sleep 9999"]});
    let mut events = api.stream(&vm, command.clone()).await;
    events.next().await.unwrap().unwrap();
    let path = format!("{vm}/exec");
    let (cut, (status, _), _) = tokio::join!(events.next(), api.post(&path, command), async {
        eventually!("both run", api.sh(&vm, "[ $(pgrep -c -x sleep) = 2 ] || [ $(cat /proc/[0-9]*/comm | grep -c '^sleep$') -ge 2 ]").await["exitCode"] == 0);
        api.delete(&vm).await
    });
    assert!(cut.is_err(), "{cut:?}");
    assert_eq!(status, 502);
}

#[tokio::test]
async fn a_vm_that_dies_by_itself_is_stopped_and_cuts_its_streams() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let seconds = unique_seconds();
    let line = format!("echo hi; sleep {seconds}");
    let mut events = api
        .stream(&vm, json!({"command": ["sh", "-c", line]}))
        .await;
    events.next().await.unwrap().unwrap();
    eventually!("it runs", is_running(&seconds));
    kill(first_process_beside(&seconds), Signal::SIGKILL).unwrap();
    assert!(events.next().await.is_err());
    assert!(!is_running(&seconds));
    eventually!("it is seen", api.status_of(&vm).await == "stopped");
    let (status, _) = api
        .post(&format!("{vm}/exec"), json!({"command": ["true"]}))
        .await;
    assert_eq!(status, 409);
    assert_eq!(api.delete(&vm).await.0, 200);
}

/// Process 1 of the VM in which a process with this argument runs, by its number on the host.
pub(crate) fn first_process_beside(argument: &str) -> Pid {
    let of = |pid: i32, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let processes = || {
        let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
    };
    let beside = processes().find(|pid| {
        of(*pid, "cmdline").is_ok_and(|line| line.split('\0').any(|found| found == argument))
    });
    let vm = namespace(beside.expect("it runs")).expect("it can be looked at");
    let first = processes().find(|pid| {
        let is_first = |status: String| {
            let numbers = status.lines().find(|line| line.starts_with("NSpid:"));
            numbers.is_some_and(|numbers| numbers.split_whitespace().last() == Some("1"))
        };
        namespace(*pid).as_ref() == Some(&vm) && of(*pid, "status").is_ok_and(is_first)
    });
    Pid::from_raw(first.expect("a VM has a process 1"))
}
