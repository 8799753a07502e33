//! Connections that break under commands and transfers: on the wire, by a proxy in between, so that
//! neither side knows what the other has.

use std::time::{Duration, Instant};

use fastvm::{CallOptions, Client, ErrorKind, Outcome, RetryPolicy, Vm};
use fastvm_local::Fault;
use fastvm_tests::{FaultProxy, Reply, Stub, Trouble, Way, World, client};
use tokio::io::AsyncWriteExt;

use crate::once::{LEAVE_A_LINE, SHORT, error_of, executions};

const MIB: usize = 1 << 20;

/// Bytes without a pattern that a damaged copy could hit.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A VM whose client, and whose way to storage, go through a proxy; repeats come soon.
async fn start() -> (World, FaultProxy, Vm) {
    let (mut world, proxy) = World::behind_proxy().await;
    let mut retries = RetryPolicy::default();
    retries.first_backoff = Duration::from_millis(10);
    world.client = Client::builder()
        .api_key(world.server.api_key())
        .base_url(world.server.base_url())
        .retry(retries)
        .build()
        .unwrap();
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    (world, proxy, vm)
}

#[tokio::test]
async fn a_command_whose_connection_breaks_runs_once_or_not_at_all_and_is_not_sent_again() {
    use Trouble::{Close, Corrupt, HalfClose, Reset, Stall};
    let (_world, proxy, vm) = start().await;
    // What strikes the request, and what the answer, which comes when the work is done.
    let troubles = [Reset, Close, HalfClose, Stall, Corrupt(1)];
    for (way, runs) in [(Way::ToServer, 0), (Way::ToClient, 1)] {
        for trouble in troubles {
            for is_streamed in [false, true] {
                let text = format!("{trouble:?} {way:?}, streamed: {is_streamed}");
                // A broken method or version is an answer of 400: no command, and no doubt.
                if let (Corrupt(_), Way::ToServer) = (trouble, way) {
                    continue;
                }
                proxy.add(trouble.of(way).when("/exec HTTP").once());
                let limit = (trouble == Stall).then_some(SHORT);
                let error = error_of(&vm, LEAVE_A_LINE, is_streamed, limit).await;
                let kind = match trouble {
                    Stall => ErrorKind::Timeout,
                    _ => ErrorKind::Connection,
                };
                assert_eq!(error.kind(), kind, "{text}: {error:?}");
                assert_eq!(error.outcome(), Outcome::Unknown, "{text}: {error:?}");
                assert_eq!(error.attempts(), 1, "{text}: {error:?}");
                proxy.heal();
                assert_eq!(executions(&vm).await, runs, "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_in_its_middle_is_an_error_after_what_came() {
    let (_world, proxy, vm) = start().await;
    let command = format!("{LEAVE_A_LINE}; seq 20000");
    let all: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    for trouble in [Trouble::Reset, Trouble::Close, Trouble::HalfClose] {
        let fault = trouble.of(Way::ToClient).after(50_000);
        proxy.add(fault.when("/exec HTTP").once());
        let events = vm.stream(command.as_str()).await.unwrap();
        let cut = events.output().await.unwrap_err();
        assert_eq!(cut.error.kind(), ErrorKind::Stream, "{trouble:?}");
        assert_eq!(cut.error.outcome(), Outcome::Unknown, "{trouble:?}");
        assert!(cut.stdout.len() < all.len(), "{trouble:?}");
        assert!(all.as_bytes().starts_with(&cut.stdout), "{trouble:?}");
        assert_eq!(executions(&vm).await, 1, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_slow_or_late_line_takes_time_and_nothing_else() {
    let (_world, proxy, vm) = start().await;
    let command = format!("{LEAVE_A_LINE}; head -c 20000 /dev/zero");
    let pause = Duration::from_millis(300);
    for way in [Way::ToServer, Way::ToClient] {
        for trouble in [Trouble::Delay(pause), Trouble::Throttle(60_000)] {
            for is_streamed in [false, true] {
                let input = "x".repeat(20_000);
                proxy.add(trouble.of(way).when("/exec HTTP").once());
                let start = Instant::now();
                let length = if is_streamed {
                    let events = vm.stream(command.as_str()).stdin(input).await.unwrap();
                    events.output().await.unwrap().stdout.len()
                } else {
                    vm.run(command.as_str())
                        .stdin(input)
                        .await
                        .unwrap()
                        .stdout
                        .len()
                };
                assert_eq!(length, 20_000, "{trouble:?} {way:?}");
                assert!(start.elapsed() >= pause, "{trouble:?} {way:?}");
                proxy.heal();
                // What was struck stays: the connection is not used again.
                proxy.reset_all();
                proxy.until_open_at_most(0).await;
                assert_eq!(executions(&vm).await, 1, "{trouble:?} {way:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_upload_arrives_whole_whatever_its_connections_do() {
    let (_world, proxy, vm) = start().await;
    let data = noise(3 * MIB);
    for fault in [
        Trouble::Reset.of(Way::ToServer).after(MIB as u64),
        Trouble::HalfClose.of(Way::ToClient),
        Trouble::Throttle(20_000_000).of(Way::ToServer),
    ] {
        proxy.add(fault.clone().when("PUT /_storage").once());
        let upload = vm.upload_bytes(data.clone(), "/root/data").verify(true);
        upload
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        let sum = vm.run("sha256sum < data; rm data").await.unwrap();
        proxy.heal();
        vm.upload_bytes(data.clone(), "/root/plain").await.unwrap();
        let plain = vm.run("sha256sum < plain; rm plain").await.unwrap();
        assert_eq!(sum.stdout, plain.stdout, "{fault:?}");
    }
}

#[tokio::test]
async fn an_upload_whose_end_storage_never_sees_is_an_error_and_leaves_what_was_there() {
    let (_world, proxy, vm) = start().await;
    vm.run("echo before > data").await.unwrap();
    let fault = Trouble::HalfClose.of(Way::ToServer).after(MIB as u64);
    proxy.add(fault.when("PUT /_storage").once());
    let upload = vm.upload_bytes(noise(3 * MIB), "/root/data");
    let error = upload.await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(400));
    assert_eq!(error.path(), Some("/root/data"));
    let left = vm.run("cat data; ls -A").await.unwrap();
    assert_eq!(left.stdout, "before\ndata\n");
}

#[tokio::test]
async fn a_download_arrives_whole_whatever_its_connections_do() {
    let (_world, proxy, vm) = start().await;
    let data = noise(3 * MIB);
    vm.upload_bytes(data.clone(), "/root/data").await.unwrap();
    for fault in [
        Trouble::Reset.of(Way::ToClient).after(MIB as u64),
        Trouble::Close.of(Way::ToClient).after(MIB as u64),
        Trouble::HalfClose.of(Way::ToClient).after(MIB as u64),
        Trouble::Reset.of(Way::ToServer),
        Trouble::Throttle(20_000_000).of(Way::ToClient),
    ] {
        let text = format!("{fault:?}");
        proxy.add(fault.when("GET /_storage").once());
        let bytes = vm.download_bytes("/root/data").await;
        let bytes = bytes.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert!(bytes == data, "{text}");
        proxy.heal();
    }
}

#[tokio::test]
async fn damage_on_the_wire_is_never_taken_for_the_data() {
    let (_world, proxy, vm) = start().await;
    let data = noise(3 * MIB);
    vm.upload_bytes(data.clone(), "/root/data").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data");
    std::fs::write(&target, "as it was").unwrap();
    let damage = Trouble::Corrupt(3).of(Way::ToClient).after(2 * MIB as u64);
    proxy.add(damage.when("GET /_storage"));
    let download = vm.download("/root/data", &target).verify(true);
    let error = download.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transfer, "{error:?}");
    assert!(error.to_string().contains("checksum"), "{error}");
    assert_eq!(std::fs::read(&target).unwrap(), b"as it was");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_run_or_fetch_whose_connection_breaks_with_its_vm_says_that_the_vm_is_gone() {
    let world = World::start().await;
    let faults = world.server.faults();
    for operation in ["execVm", "fetchFileToVm"] {
        let vm = world.client.vms().launch("c1m2").await.unwrap();
        let fault = Fault::vm_dies_after(5).vm(&vm.id).on(operation).times(1);
        let met = faults.add(fault).unwrap();
        let error = match operation {
            "execVm" => vm.run("echo hello").await.unwrap_err(),
            _ => vm.upload_bytes("data", "/root/data").await.unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::Gone, "{error:?}");
        assert_eq!(error.vm_id(), Some(vm.id.as_str()));
        assert_eq!(error.vm_status().unwrap(), &"stopped");
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert_eq!(faults.fired(met), 1);
        // What the connection said is still told.
        let cause = std::error::Error::source(&error).unwrap();
        assert!(cause.to_string().contains("connection"), "{cause}");
    }
}

/// Much longer than a healthy step here takes.
const STALL: Duration = Duration::from_millis(500);

#[tokio::test]
async fn storage_that_stalls_is_given_up_and_tried_again() {
    let (world, proxy, vm) = start().await;
    let faults = world.server.faults();
    let data = noise(3 * MIB);
    let upload = || {
        let upload = vm.upload_bytes(data.clone(), "/root/data");
        upload.stall_timeout(STALL).verify(true)
    };
    let download = || vm.download_bytes("/root/data").stall_timeout(STALL);
    // Storage itself does not answer.
    let put = faults
        .add(Fault::stall().on("storage.put").times(1))
        .unwrap();
    upload().await.unwrap();
    let get = faults
        .add(Fault::stall().on("storage.get").times(1))
        .unwrap();
    assert!(download().await.unwrap() == data);
    assert_eq!((faults.fired(put), faults.fired(get)), (1, 1));
    // The line dies in the middle, in either direction, without a word.
    for way in [Way::ToServer, Way::ToClient] {
        let sent = faults
            .add(Fault::delay(Duration::ZERO).on("storage.put"))
            .unwrap();
        let stall = Trouble::Stall.of(way);
        let after = if way == Way::ToServer { MIB as u64 } else { 0 };
        proxy.add(stall.after(after).when("PUT /_storage").once());
        upload().await.unwrap();
        assert_eq!(faults.fired(sent), 2, "{way:?}");
    }
    let stall = Trouble::Stall.of(Way::ToClient).after(MIB as u64);
    proxy.add(stall.when("GET /_storage").once());
    assert!(download().await.unwrap() == data);
    // It does not pass.
    let put = faults.add(Fault::stall().on("storage.put")).unwrap();
    let error = upload().max_retries(1).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 2));
    assert_eq!(error.path(), Some("/root/data"));
    assert_eq!(faults.fired(put), 2);
}

#[tokio::test]
async fn a_source_that_takes_its_time_is_no_storage_that_stalls() {
    let (_world, _proxy, vm) = start().await;
    let (reader, mut writer) = tokio::io::duplex(64);
    let upload = vm.upload_reader(reader, "/root/slow").stall_timeout(STALL);
    let writing = async move {
        for piece in ["one ", "two ", "three"] {
            tokio::time::sleep(STALL.mul_f64(1.5)).await;
            writer.write_all(piece.as_bytes()).await.unwrap();
        }
    };
    let (uploaded, ()) = tokio::join!(upload, writing);
    uploaded.unwrap();
    assert_eq!(vm.run("cat slow").await.unwrap().stdout, "one two three");
}

#[tokio::test]
async fn calls_of_a_transfer_and_of_a_wait_take_options_like_any_other() {
    let (world, _proxy, vm) = start().await;
    let faults = world.server.faults();
    let options = CallOptions::default().request_timeout(STALL);
    // A step that takes longer than a control call may is not cut.
    let slow = faults.add(Fault::delay(STALL * 2).on("execVm").times(2));
    let upload = vm.upload_bytes("data", "/root/data");
    upload.call_options(options.clone()).await.unwrap();
    let download = vm.download_bytes("/root/data");
    let data = download.call_options(options.clone()).await.unwrap();
    assert_eq!(data, "data");
    assert_eq!(faults.fired(slow.unwrap()), 2);
    // A control call is, and repeated if it may be.
    let stall = Fault::stall().on("presignFile").times(2);
    faults.add(stall).unwrap();
    let upload = vm.upload_bytes("data", "/root/data");
    let uploaded = upload.call_options(options.clone()).await;
    let download = vm.download_bytes("/root/data");
    let downloaded = download.call_options(options.clone()).await;
    for error in [uploaded.unwrap_err(), downloaded.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    }
    let stall = faults.add(Fault::stall().on("getVm").times(1)).unwrap();
    let wait = world.client.wait_for_vm_ready(&vm.id);
    wait.call_options(options).await.unwrap();
    assert_eq!(faults.fired(stall), 1);
    assert_eq!(vm.run("cat data").await.unwrap().stdout, "data");
}

#[tokio::test]
async fn a_header_goes_with_each_call_of_a_download_and_of_a_wait_but_not_to_storage() {
    let stub = Stub::answering(|request| {
        let base = format!("http://{}", request.header("host").unwrap());
        match request.line.as_str() {
            "GET /get" => Reply::Answer(200, vec![], b"data".to_vec()),
            "GET /v1/vms/vm-1" => Reply::json(
                200,
                r#"{"id":"vm-1","name":"n","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"createdAt":"2026-01-01T00:00:00Z","status":"running"}"#,
            ),
            line if line.ends_with("/presign") => Reply::json(
                200,
                &format!(r#"{{"uploadUrl":"{base}/put","downloadUrl":"{base}/get","expiresInSec":60,"maxUploadBytes":1000}}"#),
            ),
            _ => Reply::json(
                200,
                r#"{"durationMs":1,"exitCode":0,"stderr":"","stderrTruncated":false,"stdout":"is file\nsent 4\ncurl 0\n","stdoutTruncated":false,"timedOut":false}"#,
            ),
        }
    })
    .await;
    let client = client(stub.base_url(), "k");
    let download = client.download_bytes("vm-1", "/x");
    download.header("x-tenant", "blue").await.unwrap();
    let wait = client.wait_for_vm_ready("vm-1");
    wait.header("x-tenant", "blue").await.unwrap();
    let requests = stub.requests();
    assert_eq!(requests.len(), 4);
    for request in requests {
        let expected = (request.line != "GET /get").then_some("blue");
        assert_eq!(request.header("x-tenant"), expected, "{}", request.line);
    }
}

#[tokio::test]
async fn a_command_is_not_sent_on_a_connection_that_its_server_may_be_closing() {
    let (world, proxy, vm) = start().await;
    vm.run("true").await.unwrap();
    vm.stream("true").await.unwrap().output().await.unwrap();
    let before = proxy.accepted();
    // Servers close what lies idle for 5 s: a command must not cross that.
    tokio::time::sleep(Duration::from_millis(4_100)).await;
    world.client.vms().retrieve(&vm.id).await.unwrap();
    assert_eq!(proxy.accepted(), before, "a call with a limit is safe");
    vm.run("true").await.unwrap();
    vm.stream("true").await.unwrap().output().await.unwrap();
    assert_eq!(proxy.accepted(), before + 2);
}
