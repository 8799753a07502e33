//! How streams end, and what ends a wait: the exit of the command, or an error that says what is
//! known.

use std::time::Duration;

use fastvm::types::VmStatus;
use fastvm::{ErrorKind, ExecEvent, ExecStream, LineSource, Outcome, Vm};
use fastvm_local::{Fault, FaultId};
use fastvm_tests::{Reply, Stub, World, client};
use futures_util::{StreamExt, TryStreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// How many bytes of a stream tell of `echo one`.
const FIRST_EVENT: u64 = "{\"t\":\"o\",\"d\":\"b25lCg==\"}\n".len() as u64;

const SILENCE: Duration = Duration::from_millis(50);

async fn launch(world: &World) -> Vm {
    world.client.vms().launch("c1m2").await.unwrap()
}

/// Counts the requests of an operation from now on, and leaves them alone.
fn counter(world: &World, operation: &str) -> FaultId {
    let nothing = Fault::delay(Duration::ZERO).on(operation);
    world.server.faults().add(nothing).unwrap()
}

/// Waits until a fault has fired so often.
async fn fired(world: &World, fault: FaultId, times: u64) {
    let waiting = async {
        while world.server.faults().fired(fault) < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let fired = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    fired.unwrap_or_else(|_| panic!("it fired {} times", world.server.faults().fired(fault)));
}

/// One event on the wire.
fn event(kind: &str, output: &str) -> Vec<u8> {
    let data = base64_simd::STANDARD.encode_to_string(output);
    format!("{{\"t\":\"{kind}\",\"d\":\"{data}\"}}\n").into_bytes()
}

const EXIT: &[u8] = b"{\"t\":\"x\"}\n";

#[tokio::test]
async fn a_stream_that_breaks_off_is_an_error_after_all_that_came() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let breaks = [
        (Fault::cut_body_after(FIRST_EVENT), true),
        (Fault::cut_body_after(FIRST_EVENT + 5), true),
        (Fault::truncate_body(FIRST_EVENT), true),
        (Fault::truncate_body(FIRST_EVENT + 5), true),
        (Fault::truncate_body(FIRST_EVENT - 5), false),
        (Fault::no_exit_event(), true),
        (Fault::corrupt_body(), false),
    ];
    for (fault, has_output) in breaks {
        let text = format!("{fault:?}");
        let expected: &[u8] = if has_output { b"one\n" } else { b"" };
        world
            .server
            .faults()
            .add(fault.times(2).on("execVm"))
            .unwrap();

        let mut events = vm.stream("echo one").await.unwrap();
        if has_output {
            let first = events.try_next().await.unwrap().unwrap();
            assert!(matches!(first, ExecEvent::Stdout(bytes) if bytes == expected));
        }
        let error = events.try_next().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stream, "{text}: {error:?}");
        assert_eq!(error.vm_id(), Some(vm.id.as_str()));
        assert_eq!(error.operation().unwrap().id, "execVm");
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert!(events.next().await.is_none());

        let cut = vm.stream("echo one").await.unwrap().output().await;
        let cut = cut.unwrap_err();
        assert_eq!(
            (cut.stdout.as_slice(), cut.error.kind()),
            (expected, ErrorKind::Stream)
        );
        world.server.faults().clear();
    }
}

#[tokio::test]
async fn a_stream_whose_vm_dies_says_that_it_did() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let death = Fault::vm_dies_after(FIRST_EVENT).on("execVm");
    world.server.faults().add(death).unwrap();
    let cut = vm
        .stream("echo one")
        .await
        .unwrap()
        .output()
        .await
        .unwrap_err();
    assert_eq!(cut.stdout, b"one\n");
    assert_eq!(cut.error.kind(), ErrorKind::Gone, "{cut:?}");
    assert_eq!(cut.error.vm_status(), Some(&VmStatus::Stopped));
    assert_eq!(cut.error.outcome(), Outcome::Unknown);
}

#[tokio::test]
async fn a_broken_stream_is_told_as_it_is_if_the_vm_cannot_be_asked() {
    let world = World::start().await;
    let vm = launch(&world).await;
    for question in [Fault::status(503), Fault::cut()] {
        world.server.faults().add(Fault::no_exit_event()).unwrap();
        let asked = world.server.faults().add(question.on("getVm")).unwrap();
        let cut = vm.stream("true").await.unwrap().output().await.unwrap_err();
        assert_eq!(cut.error.kind(), ErrorKind::Stream);
        assert_eq!(world.server.faults().fired(asked), 1);

        let unasked = vm.stream("true").idle_check(None).await.unwrap();
        let cut = unasked.output().await.unwrap_err();
        assert_eq!(cut.error.kind(), ErrorKind::Stream);
        assert_eq!(world.server.faults().fired(asked), 1);
        world.server.faults().clear();
    }
}

#[tokio::test]
async fn a_wait_for_a_vm_that_is_paused_ends_at_the_next_check() {
    let world = World::start().await;
    let vm = launch(&world).await;
    vm.run("mkfifo up").await.unwrap().ensure_success().unwrap();
    let run = vm.run("echo up > up; sleep 600").idle_check(SILENCE);
    let run = tokio::spawn(run.into_future());
    let stream = vm.stream("echo one; sleep 600").idle_check(SILENCE);
    let mut events = stream.await.unwrap();
    assert!(events.try_next().await.unwrap().is_some());
    vm.run("cat up").await.unwrap().ensure_success().unwrap();
    vm.pause().await.unwrap();
    for error in [
        run.await.unwrap().unwrap_err(),
        events.try_next().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Gone, "{error:?}");
        assert_eq!(error.vm_status(), Some(&VmStatus::Paused));
        assert_eq!(error.vm_id(), Some(vm.id.as_str()));
        assert_eq!(error.outcome(), Outcome::Unknown);
    }
}

#[tokio::test]
async fn a_wait_for_a_vm_that_was_deleted_ends_at_the_next_check() {
    let world = World::start().await;
    let vm = launch(&world).await;
    // A service that does not answer for the VM, though it is gone.
    let stalled = world
        .server
        .faults()
        .add(Fault::stall().on("execVm"))
        .unwrap();
    let run = tokio::spawn(vm.run("true").idle_check(SILENCE).into_future());
    let stream = tokio::spawn(vm.stream("true").idle_check(SILENCE).into_future());
    fired(&world, stalled, 2).await;
    vm.delete().await.unwrap();
    for error in [
        run.await.unwrap().unwrap_err(),
        stream.await.unwrap().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Gone, "{error:?}");
        assert!(error.to_string().contains("was deleted"), "{error}");
    }
}

#[tokio::test]
async fn an_upload_whose_vm_was_deleted_ends_at_the_next_check() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "content").unwrap();
    let stalled = Fault::stall().on("fetchFileToVm");
    let stalled = world.server.faults().add(stalled).unwrap();
    let upload = vm.upload(&file, "/root/file").idle_check(SILENCE);
    let upload = tokio::spawn(upload.into_future());
    fired(&world, stalled, 1).await;
    vm.delete().await.unwrap();
    assert_eq!(upload.await.unwrap().unwrap_err().kind(), ErrorKind::Gone);
}

#[tokio::test]
async fn a_question_that_fails_does_not_end_the_wait() {
    let world = World::start().await;
    let vm = launch(&world).await;
    vm.run("mkfifo go").await.unwrap().ensure_success().unwrap();
    for (question, times) in [
        (Fault::status(503), 3),
        (Fault::status(401), 3),
        (Fault::cut(), 3),
        (Fault::stall(), 1),
    ] {
        let asked = world.server.faults().add(question.on("getVm")).unwrap();
        let wait = "read -r line < go; echo $line";
        let run = tokio::spawn(vm.run(wait).idle_check(SILENCE).into_future());
        fired(&world, asked, times).await;
        vm.run("echo went > go").await.unwrap();
        assert_eq!(run.await.unwrap().unwrap().stdout, "went\n");

        let stream = vm.stream(wait).idle_check(SILENCE).await.unwrap();
        let output = tokio::spawn(stream.output());
        fired(&world, asked, 2 * times).await;
        vm.run("echo went > go").await.unwrap();
        assert_eq!(output.await.unwrap().unwrap().stdout, b"went\n");
        world.server.faults().clear();
    }
}

#[tokio::test]
async fn a_silence_is_not_asked_about_if_the_check_is_off() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let questions = counter(&world, "getVm");
    let quiet = "sleep 0.2";
    vm.run(quiet).idle_check(None).await.unwrap();
    let stream = vm.stream(quiet).idle_check(None).await.unwrap();
    stream.output().await.unwrap();
    assert_eq!(world.server.faults().fired(questions), 0);
    vm.run(quiet).idle_check(SILENCE).await.unwrap();
    assert!(world.server.faults().fired(questions) > 0);
}

#[tokio::test]
async fn a_stream_that_is_dropped_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        assert!(socket.read(&mut request).await.unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n19\r\n";
        let answer = [head.as_bytes(), &event("o", "one\n"), b"\r\n"].concat();
        socket.write_all(&answer).await.unwrap();
        // What is left of the request, then the end.
        while socket
            .read(&mut request)
            .await
            .is_ok_and(|length| length > 0)
        {}
    };
    let client = client(&url, "k");
    let user = async {
        let mut events = client.vms().stream("vm-1", "yes").await.unwrap();
        assert!(events.try_next().await.unwrap().is_some());
        drop(events);
    };
    let both = async { tokio::join!(server, user) };
    let closed = tokio::time::timeout(Duration::from_secs(10), both).await;
    assert!(closed.is_ok(), "the connection is still open");
}

#[tokio::test]
async fn why_a_command_could_not_be_started_is_told() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let output = vm
        .stream(["no-such-program"])
        .await
        .unwrap()
        .output()
        .await
        .unwrap();
    assert_eq!(output.exit.code, 127);
    let said = output.exit.message.clone().unwrap();
    assert!(said.contains("no-such-program"), "{said}");
    let error = output.ensure_success().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Command);
    assert!(error.to_string().contains(&said), "{error}");
}

#[tokio::test]
async fn the_whole_output_is_bytes_and_keeps_its_exit() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let command = "printf '\\377\\000a'; echo why >&2; exit 3";
    let output = vm.stream(command).await.unwrap().output().await.unwrap();
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"\xff\0a"[..], &b"why\n"[..])
    );
    assert_eq!((output.exit.code, output.is_success()), (3, false));
    assert!(!format!("{output:?}").contains("why"));
    let error = output.ensure_success().unwrap_err();
    assert!(error.to_string().ends_with("code 3: why"), "{error}");
    assert_eq!(error.vm_id(), Some(vm.id.as_str()));

    let slow = vm
        .stream("sleep 60")
        .timeout(Duration::from_secs(1))
        .await
        .unwrap();
    let killed = slow.output().await.unwrap();
    assert!(killed.exit.timed_out);
    assert!(
        killed
            .ensure_success()
            .unwrap_err()
            .to_string()
            .contains("time was up")
    );

    let mut read = vm.stream("true").await.unwrap();
    while read.try_next().await.unwrap().is_some() {}
    assert_eq!(
        read.output().await.unwrap_err().error.kind(),
        ErrorKind::Stream
    );
}

#[tokio::test]
async fn an_exit_without_a_line_end_is_an_exit() {
    let bare = EXIT.trim_ascii_end().to_vec();
    let stub = Stub::start([Reply::Chunked(vec![event("o", "one\n"), bare])]).await;
    let events = client(stub.base_url(), "k").vms().stream("vm-1", "true");
    let output = events.await.unwrap().output().await.unwrap();
    assert!(output.is_success() && output.stdout == b"one\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_soon_after_its_exit_whatever_its_body_does() {
    // Nothing that comes after the exit is given, and it ends nothing.
    let last = [EXIT, &event("o", "two\n"), b"no event\n"].concat();
    let body = vec![event("o", "one\n"), last];
    for is_spawned in [false, true] {
        let stub = Stub::start([Reply::ChunkedStall(body.clone())]).await;
        let client = client(stub.base_url(), "k");
        let reading = async move {
            let events = client.vms().stream("vm-1", "true").await.unwrap();
            events.try_collect::<Vec<_>>().await.unwrap()
        };
        let reading = async {
            match is_spawned {
                true => tokio::spawn(reading).await.unwrap(),
                false => reading.await,
            }
        };
        let events = tokio::time::timeout(Duration::from_secs(5), reading).await;
        assert!(
            matches!(
                &events.unwrap()[..],
                [ExecEvent::Stdout(_), ExecEvent::Exit(_)]
            ),
            "in a task of its own: {is_spawned}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_watched_and_explained_where_no_runtime_keeps_time() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let questions = counter(&world, "getVm");
    let output = |events: ExecStream| {
        let reader = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(events.output())
        });
        reader.join().unwrap()
    };
    let quiet = vm.stream("sleep 0.2; echo one").idle_check(SILENCE);
    assert_eq!(output(quiet.await.unwrap()).unwrap().stdout, b"one\n");
    let asked = world.server.faults().fired(questions);
    assert!(asked > 0);

    world.server.faults().add(Fault::no_exit_event()).unwrap();
    let cut = output(vm.stream("true").await.unwrap()).unwrap_err();
    assert_eq!(cut.error.kind(), ErrorKind::Stream);
    assert_eq!(world.server.faults().fired(questions), asked + 1);
}

#[tokio::test]
async fn lines_of_both_outputs_come_in_order_and_whole() {
    let events = [
        event("o", "first\nse"),
        event("e", "oops\r\nhalf"),
        event("o", "cond\n\nlast"),
        EXIT.to_vec(),
    ];
    let stub = Stub::start([Reply::Chunked(events.to_vec())]).await;
    let stream = client(stub.base_url(), "k").vms().stream("vm-1", "true");
    let mut lines = stream.await.unwrap().lines();
    let mut seen = Vec::new();
    while let Some(line) = lines.try_next().await.unwrap() {
        seen.push((line.source, line.text, line.is_terminated));
    }
    let expected = [
        (LineSource::Stdout, "first", true),
        (LineSource::Stderr, "oops", true),
        (LineSource::Stdout, "second", true),
        (LineSource::Stdout, "", true),
        (LineSource::Stdout, "last", false),
        (LineSource::Stderr, "half", false),
    ];
    assert_eq!(
        seen,
        expected.map(|(source, text, end)| (source, text.to_owned(), end))
    );
    assert!(lines.exit().unwrap().is_success());
}

#[tokio::test]
async fn lines_give_all_that_came_before_their_error() {
    let stub = Stub::start([Reply::ChunkedCut(vec![event("o", "one\ntw")])]).await;
    let stream = client(stub.base_url(), "k").vms().stream("vm-1", "true");
    let mut lines = stream.await.unwrap().lines();
    assert_eq!(lines.try_next().await.unwrap().unwrap().text, "one");
    let half = lines.try_next().await.unwrap().unwrap();
    assert_eq!((half.text.as_str(), half.is_terminated), ("tw", false));
    assert_eq!(
        lines.try_next().await.unwrap_err().kind(),
        ErrorKind::Stream
    );
    assert!(lines.next().await.is_none() && lines.exit().is_none());
}

#[tokio::test]
async fn lines_of_a_command_cut_no_character() {
    let world = World::start().await;
    let vm = launch(&world).await;
    vm.run("mkfifo go").await.unwrap().ensure_success().unwrap();
    let command = "printf 'zw\\303'; read -r line < go; printf '\\266lf\\n'";
    let mut lines = vm.stream(command).await.unwrap().lines();
    vm.run("echo go > go")
        .await
        .unwrap()
        .ensure_success()
        .unwrap();
    assert_eq!(lines.try_next().await.unwrap().unwrap().text, "zwölf");
    assert!(lines.try_next().await.unwrap().is_none());
}
