//! Running and streaming commands.

use std::time::{Duration, Instant};

use fastvm::{ErrorKind, ExecEvent, ExecStream, Exit, Outcome};
use fastvm_tests::{Reply, Stub, World, client};
use futures_util::TryStreamExt;

/// Everything a stream gave: stdout, stderr and the exit.
async fn drain(mut events: ExecStream) -> fastvm::Result<(Vec<u8>, Vec<u8>, Option<Exit>)> {
    let (mut stdout, mut stderr, mut exit) = (Vec::new(), Vec::new(), None);
    while let Some(event) = events.try_next().await? {
        match event {
            ExecEvent::Stdout(bytes) => stdout.extend_from_slice(&bytes),
            ExecEvent::Stderr(bytes) => stderr.extend_from_slice(&bytes),
            ExecEvent::Exit(end) => exit = Some(end),
            _ => {}
        }
    }
    Ok((stdout, stderr, exit))
}

#[tokio::test]
async fn a_string_is_a_shell_line_and_an_array_an_argument_vector() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let out = world
        .client
        .vms()
        .run(&vm.id, "echo hi && echo \"it's\" '$HOME' \"$HOME\"")
        .await
        .unwrap();
    assert_eq!(out.stdout, "hi\nit's $HOME /root\n");
    let hostile = [
        "printf", "%s|", "a b", "'", "\"", "$HOME", "`id`", "ü\n[{*", "-n", "",
    ];
    let out = vm.run(hostile).await.unwrap();
    assert_eq!(out.stdout, "a b|'|\"|$HOME|`id`|ü\n[{*|-n||");
}

#[tokio::test]
async fn a_failed_command_is_an_answer_until_success_is_asked_for() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let out = vm
        .run("echo out; echo the reason >&2; exit 7")
        .await
        .unwrap();
    assert_eq!((out.exit_code, out.is_success()), (7, false));
    assert_eq!(
        (out.stdout.as_str(), out.stderr.as_str()),
        ("out\n", "the reason\n")
    );
    let error = out.ensure_success().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Command);
    assert_eq!(error.vm_id(), Some(vm.id.as_str()));
    assert!(error.to_string().contains("code 7: the reason"), "{error}");
    let missing = vm.run(["no-such-program"]).await.unwrap();
    assert_eq!(missing.exit_code, 127);
    assert!(vm.run("true").await.unwrap().ensure_success().is_ok());
}

#[tokio::test]
async fn stdin_arrives_as_bytes_and_a_timeout_kills() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let input: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let out = vm
        .run("wc -c; cat /dev/null")
        .stdin(input.clone())
        .await
        .unwrap();
    assert_eq!(out.stdout.trim(), "300000");
    let (stdout, _, _) = drain(vm.stream(["cat"]).stdin(input.clone()).await.unwrap())
        .await
        .unwrap();
    assert!(stdout == input);
    let start = Instant::now();
    let out = vm
        .run("sleep 60 & sleep 60")
        .timeout(Duration::from_millis(300))
        .await
        .unwrap();
    assert!(out.timed_out && out.exit_code == 137);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(
        out.ensure_success()
            .unwrap_err()
            .to_string()
            .contains("time was up")
    );
}

#[tokio::test]
async fn buffered_output_is_kept_to_four_mebibytes_and_streamed_output_whole() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let line = "head -c 5000000 /dev/zero | tr '\\0' x";
    let out = vm.run(line).await.unwrap();
    assert_eq!(
        (out.stdout.len(), out.stdout_truncated),
        (4 * 1024 * 1024, true)
    );
    let (stdout, _, exit) = drain(vm.stream(line).await.unwrap()).await.unwrap();
    assert_eq!(stdout.len(), 5_000_000);
    assert!(exit.unwrap().is_success());
}

#[tokio::test]
async fn events_come_as_they_happen_and_in_order() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let line = "echo one; read -r wait < go; echo two >&2; exit 4";
    vm.run("mkfifo go").await.unwrap().ensure_success().unwrap();
    let mut events = vm.stream(line).await.unwrap();
    let first = events.try_next().await.unwrap();
    assert!(matches!(first, Some(ExecEvent::Stdout(bytes)) if &bytes[..] == b"one\n"));
    // The command waits for this: its first output came before its end.
    vm.run("echo go > go")
        .await
        .unwrap()
        .ensure_success()
        .unwrap();
    let second = events.try_next().await.unwrap();
    assert!(matches!(second, Some(ExecEvent::Stderr(bytes)) if &bytes[..] == b"two\n"));
    let third = events.try_next().await.unwrap();
    assert!(matches!(third, Some(ExecEvent::Exit(exit)) if exit.code == 4 && !exit.timed_out));
    assert!(events.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_command_that_cannot_be_is_refused_before_anything_is_sent() {
    let stub = Stub::start([Reply::json(500, "{}")]).await;
    let vms = client(stub.base_url(), "k").vms();
    for command in [vec![], vec![""], vec!["sh", "a\0b"]] {
        let error = vms.run("vm-1", command.clone()).await.unwrap_err();
        assert!(error.is_invalid_input(), "{command:?}: {error}");
        assert!(
            vms.stream("vm-1", command)
                .await
                .unwrap_err()
                .is_invalid_input()
        );
    }
    assert!(vms.run("vm-1", "  ").await.unwrap_err().is_invalid_input());
    let zero = vms
        .run("vm-1", "true")
        .timeout(Duration::ZERO)
        .await
        .unwrap_err();
    assert!(zero.is_invalid_input() && zero.outcome() == Outcome::NotSent);
    assert!(stub.requests().is_empty());
}

#[tokio::test]
async fn a_command_is_sent_as_documented_and_the_answer_is_given_whole() {
    let answer = r#"{"durationMs":5,"exitCode":0,"stderr":"","stderrTruncated":false,"stdout":"x","stdoutTruncated":false,"timedOut":false}"#;
    let stub = Stub::start([Reply::json(200, answer).header("x-request-id", "r-1")]).await;
    let run = client(stub.base_url(), "k")
        .vms()
        .run("vm-1", "ls")
        .stdin("in")
        .timeout(Duration::from_millis(1500));
    let out = run.send().await.unwrap();
    assert_eq!(out.headers()["x-request-id"], "r-1");
    assert_eq!(
        (out.stdout.as_str(), out.duration()),
        ("x", Duration::from_millis(5))
    );
    let request = &stub.requests()[0];
    assert_eq!(request.line, "POST /v1/vms/vm-1/exec");
    assert_eq!(request.header("accept"), Some("application/json"));
    assert_eq!(
        request.body,
        br#"{"command":["sh","-c","ls"],"stdin":"aW4=","timeoutSec":2}"#
    );
}

#[tokio::test]
async fn a_stream_that_ends_before_its_exit_is_an_error() {
    let output = b"{\"t\":\"o\",\"d\":\"aGk=\"}\n".to_vec();
    let half = b"{\"t\":\"x\",\"c\"".to_vec();
    let cuts = [
        Reply::ChunkedCut(vec![output.clone()]),
        Reply::Chunked(vec![output.clone()]),
        Reply::Chunked(vec![output.clone(), half.clone()]),
        Reply::Chunked(vec![output.clone(), b"garbage\n".to_vec()]),
    ];
    for reply in cuts {
        let stub = Stub::start([reply.clone()]).await;
        let mut events = client(stub.base_url(), "k")
            .vms()
            .stream("vm-1", "true")
            .await
            .unwrap();
        assert!(matches!(
            events.try_next().await.unwrap(),
            Some(ExecEvent::Stdout(_))
        ));
        let error = events.try_next().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stream, "{reply:?}");
        assert_eq!(
            (error.vm_id(), error.outcome()),
            (Some("vm-1"), Outcome::Unknown)
        );
        assert!(events.try_next().await.unwrap().is_none());
        let commands = stub.requests().into_iter();
        let commands = commands.filter(|request| request.line.ends_with("/exec"));
        assert_eq!(commands.count(), 1);
    }
}

#[tokio::test]
async fn a_stream_whose_vm_is_deleted_is_an_error() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let mut events = vm.stream("echo on; sleep 60").await.unwrap();
    assert!(matches!(
        events.try_next().await.unwrap(),
        Some(ExecEvent::Stdout(_))
    ));
    vm.delete().await.unwrap();
    let gone = events.try_next().await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Gone, "{gone:?}");
    let error = vm.run("true").await.unwrap_err();
    assert!(error.is_not_found() && error.outcome() == Outcome::Rejected);
}

#[tokio::test]
async fn a_stream_nobody_reads_holds_up_no_other_call() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let mut unread = Vec::new();
    for _ in 0..20 {
        unread.push(vm.stream("yes").await.unwrap());
    }
    let out = tokio::time::timeout(Duration::from_secs(10), vm.run("echo free"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(out.stdout, "free\n");
    drop(unread);
    vm.delete().await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_end_its_command() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    vm.run("mkfifo go").await.unwrap();
    let mut events = vm
        .stream("echo on; read -r line < go; echo done > proof")
        .await
        .unwrap();
    assert!(events.try_next().await.unwrap().is_some());
    drop(events);
    let wait_for_proof =
        "echo go > go; for i in $(seq 200); do [ -s proof ] && exit 0; sleep 0.02; done; exit 1";
    vm.run(wait_for_proof)
        .await
        .unwrap()
        .ensure_success()
        .unwrap();
}

#[tokio::test]
async fn how_a_stream_ended_is_told_in_full() {
    let exit = b"{\"t\":\"x\",\"c\":127,\"ms\":3,\"d\":\"no such program\"}\n".to_vec();
    let stub = Stub::start([Reply::Chunked(vec![exit])]).await;
    let events = client(stub.base_url(), "k")
        .vms()
        .stream("vm-1", ["nope"])
        .await
        .unwrap();
    let (_, _, exit) = drain(events).await.unwrap();
    let exit = exit.unwrap();
    assert_eq!((exit.code, exit.duration), (127, Duration::from_millis(3)));
    assert_eq!(exit.message.as_deref(), Some("no such program"));
    assert_eq!(
        stub.requests()[0].header("accept"),
        Some("application/x-ndjson")
    );
}

#[tokio::test]
async fn a_stream_that_is_refused_says_why() {
    let stub = Stub::start([Reply::json(
        502,
        r#"{"error":"worker_lost","message":"try later"}"#,
    )])
    .await;
    let error = client(stub.base_url(), "k")
        .vms()
        .stream("vm-1", "true")
        .await
        .unwrap_err();
    assert_eq!(
        (error.status().unwrap().as_u16(), error.code()),
        (502, Some("worker_lost"))
    );
    assert_eq!((error.message(), stub.requests().len()), ("try later", 1));
}

#[tokio::test]
async fn a_quiet_command_is_left_alone_and_a_vm_that_is_gone_ends_the_wait() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let silence = Duration::from_millis(20);
    let out = vm
        .run("sleep 0.3; echo done")
        .idle_check(silence)
        .await
        .unwrap();
    assert_eq!(out.stdout, "done\n");
    let (stdout, _, exit) = drain(
        vm.stream("sleep 0.3; echo done")
            .idle_check(silence)
            .await
            .unwrap(),
    )
    .await
    .unwrap();
    assert!(stdout == b"done\n" && exit.unwrap().is_success());

    let vm_json = r#"{"id":"vm-1","name":"n","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"createdAt":"2026-01-01T00:00:00Z","status":"paused"}"#;
    for gone in [Reply::json(200, vm_json), Reply::json(404, "{}")] {
        let stub = Stub::answering(move |request| match request.line.as_str() {
            "GET /v1/vms/vm-1" => gone.clone(),
            _ => Reply::Stall,
        })
        .await;
        let vms = client(stub.base_url(), "k").vms();
        let run = vms
            .run("vm-1", "true")
            .idle_check(silence)
            .await
            .unwrap_err();
        assert_eq!((run.kind(), run.vm_id()), (ErrorKind::Gone, Some("vm-1")));
        let stream = vms
            .stream("vm-1", "true")
            .idle_check(silence)
            .await
            .unwrap_err();
        assert_eq!(stream.kind(), ErrorKind::Gone);
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_because_its_vm_is_paused_is_an_error() {
    let paused = r#"{"id":"vm-1","name":"n","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"createdAt":"2026-01-01T00:00:00Z","status":"paused"}"#;
    let stub = Stub::answering(move |request| match request.line.as_str() {
        "GET /v1/vms/vm-1" => Reply::json(200, paused),
        _ => Reply::ChunkedStall(vec![b"{\"t\":\"o\",\"d\":\"aGk=\"}\n".to_vec()]),
    })
    .await;
    let vms = client(stub.base_url(), "k").vms();
    let mut events = vms
        .stream("vm-1", "true")
        .idle_check(Duration::from_millis(20))
        .await
        .unwrap();
    assert!(matches!(
        events.try_next().await.unwrap(),
        Some(ExecEvent::Stdout(_))
    ));
    let error = events.try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gone);
    assert_eq!(error.vm_status().unwrap(), &"paused");
}

// A minute and a bit in real time, both at once and beside the other tests: longer than the
// client's limit of any other call, and than the idle limits that are common between here and a
// service.
#[tokio::test]
async fn a_command_may_take_65_seconds_and_say_nothing() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let quiet = "sleep 65; echo done";
    let streamed = async {
        vm.stream(quiet)
            .await?
            .output()
            .await
            .map_err(fastvm::Error::from)
    };
    let buffered = vm.run(quiet).into_future();
    let (streamed, buffered) = tokio::join!(streamed, buffered);
    let (streamed, buffered) = (streamed.unwrap(), buffered.unwrap());
    assert!(streamed.is_success() && streamed.stdout == b"done\n");
    assert!(buffered.is_success() && buffered.stdout == "done\n");
    assert!(buffered.duration() >= Duration::from_secs(65));
}
