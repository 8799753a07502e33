//! Calls without `async`.

use std::time::Duration;

use fastvm::blocking::{Call, Iterate};
use fastvm::{Client, ErrorKind, ExecEvent};
use fastvm_local::{Fault, Server};
use fastvm_tests::client;
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;

/// A local server on threads of its own, so that a test can hold up its thread.
struct World {
    client: Client,
    server: Server,
    _runtime: Runtime,
}

impl World {
    fn start() -> Self {
        // Within async code nothing may block on a runtime, so it is made elsewhere.
        std::thread::spawn(|| {
            let runtime = Runtime::new().unwrap();
            let server = runtime.block_on(Server::start()).unwrap();
            let client = client(server.base_url(), server.api_key());
            Self {
                client,
                server,
                _runtime: runtime,
            }
        })
        .join()
        .unwrap()
    }

    /// Lets the runtime go, which async code may not do.
    fn stop(self) {
        std::thread::spawn(move || drop(self)).join().unwrap();
    }
}

/// Every kind of call: generated, overrides, `async fn`, streams, transfers, tasks in the background.
fn everything(client: &Client) {
    assert!(client.health().call().unwrap().status.is_some());
    let answer = client.vms().list().send().call().unwrap();
    assert_eq!(answer.status(), 200);
    let vm = client.vms().launch("c1m2").call().unwrap().into_guard();
    let vm_id = vm.id.clone();
    assert_eq!(vm.run("echo one").call().unwrap().stdout, "one\n");

    let mut stdout = Vec::new();
    let mut events = vm.stream("echo one; echo two; exit 4").call().unwrap();
    let mut code = None;
    for event in events.iter() {
        match event.unwrap() {
            ExecEvent::Stdout(bytes) => stdout.extend_from_slice(&bytes),
            ExecEvent::Exit(exit) => code = Some(exit.code),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((&stdout[..], code), (&b"one\ntwo\n"[..], Some(4)));
    assert!(events.iter().next().is_none());

    vm.upload_bytes(vec![b'x'; 300_000], "/root/x")
        .call()
        .unwrap();
    let mut written = Vec::new();
    let length = vm.download_to("/root/x", &mut written).call().unwrap();
    assert_eq!((length, written.len()), (300_000, 300_000));

    let lease = vm.lease(Duration::from_secs(60)).call().unwrap();
    assert_eq!(lease.run("echo leased").call().unwrap().stdout, "leased\n");
    drop(lease);
    vm.close().call().unwrap();
    let error = client.vms().retrieve(vm_id).call().unwrap_err();
    assert!(error.is_not_found());
}

#[test]
fn a_program_without_a_runtime_can_do_everything() {
    let world = World::start();
    everything(&world.client);
}

#[tokio::test(flavor = "current_thread")]
async fn async_code_on_one_thread_can_call_even_after_it_has_awaited() {
    let world = World::start();
    // Its connections are kept, and belong to the thread that is about to be held up.
    for _ in 0..2 {
        world.client.health().await.unwrap();
        let vm = world.client.vms().launch("c1m2").await.unwrap();
        let events = vm.stream("echo one").await.unwrap();
        assert!(events.output().await.is_ok());
        everything(&world.client);
        vm.delete().await.unwrap();
    }
    world.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_code_on_many_threads_can_call() {
    let world = World::start();
    world.client.health().await.unwrap();
    let client = world.client.clone();
    tokio::spawn(async move { everything(&client) })
        .await
        .unwrap();
    let client = world.client.clone();
    tokio::task::spawn_blocking(move || everything(&client))
        .await
        .unwrap();
    everything(&world.client);
    world.stop();
}

#[test]
fn many_threads_can_call_at_once() {
    let world = World::start();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| everything(&world.client));
        }
    });
}

#[test]
fn calls_work_on_after_the_runtime_of_awaited_ones_has_ended() {
    let world = World::start();
    let other = Runtime::new().unwrap();
    other
        .block_on(async { world.client.health().await })
        .unwrap();
    drop(other);
    everything(&world.client);
}

#[test]
fn a_long_output_inside_async_code_comes_as_a_whole() {
    // More reads than a task of tokio may do before it has to yield.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let world = World::start();
    runtime.block_on(async {
        let vm = world.client.vms().launch("c1m2").call().unwrap();
        let mut length = 0;
        let line = "i=0; while [ $i -lt 1000 ]; do head -c 20000 /dev/zero; i=$((i+1)); done";
        for event in vm.stream(line).call().unwrap().iter() {
            if let ExecEvent::Stdout(bytes) = event.unwrap() {
                length += bytes.len();
            }
        }
        assert_eq!(length, 20_000_000);
    });
}

#[test]
fn a_call_within_a_call_wakes_both() {
    let world = World::start();
    let vm = world.client.vms().launch("c1m2").call().unwrap();
    let client = world.client.clone();
    vm.upload_bytes(vec![0; 3_000_000], "/root/zeros")
        .on_progress(move |_| assert!(client.health().call().is_ok()))
        .call()
        .unwrap();
    assert_eq!(vm.run("wc -c < zeros").call().unwrap().stdout, "3000000\n");
}

#[test]
fn a_task_of_a_call_that_calls_is_refused_and_does_not_hang() {
    let world = World::start();
    let client = world.client.clone();
    let nested = async move {
        let task = tokio::spawn(async move { client.health().call() });
        task.await.expect("it does not panic")
    };
    let error = nested.call().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.outcome(), fastvm::Outcome::NotSent);
}

#[test]
fn a_guard_that_goes_without_a_runtime_deletes_its_vm_before_it_is_gone() {
    let world = World::start();
    let guard = world
        .client
        .vms()
        .launch("c1m2")
        .call()
        .unwrap()
        .into_guard();
    let passing = Fault::status(503).on("deleteVm").times(1);
    world.server.faults().add(passing).unwrap();
    drop(guard);
    assert!(world.client.vms().list().call().unwrap().is_empty());
}

#[test]
fn a_launch_that_fails_is_cleaned_up_and_errors_are_those_of_await() {
    let world = World::start();
    let error = world.client.vms().retrieve("no-such").call().unwrap_err();
    assert!(error.is_not_found());
    let fault = Fault::status(403).on("getVm").times(1);
    world.server.faults().add(fault).unwrap();
    let vms = world.client.vms();
    let vm = vms.launch("c1m2").wait(false).call().unwrap();
    assert!(
        world
            .client
            .wait_for_vm_ready(&vm.id)
            .call()
            .unwrap_err()
            .is_forbidden()
    );
    vm.delete().call().unwrap();
}

#[test]
fn a_stream_whose_vm_goes_ends_with_the_error_and_then_for_good() {
    let world = World::start();
    let vm = world.client.vms().launch("c1m2").call().unwrap();
    let mut events = vm.stream("echo on; sleep 60").call().unwrap();
    let mut items = events.iter();
    assert!(matches!(items.next(), Some(Ok(ExecEvent::Stdout(_)))));
    vm.delete().call().unwrap();
    assert_eq!(items.next().unwrap().unwrap_err().kind(), ErrorKind::Gone);
    assert!(items.next().is_none());
}

#[test]
fn a_panic_within_a_call_is_the_callers_and_harms_no_other_call() {
    let world = World::start();
    let vm = world.client.vms().launch("c1m2").call().unwrap();
    let upload = vm.upload_bytes(vec![0; 10], "/root/zeros");
    let upload = upload.on_progress(|_| panic!("on purpose"));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| upload.call()));
    assert!(!matches!(caught, Ok(Ok(_))));
    everything(&world.client);
}

#[test]
fn readers_and_whole_outputs_can_be_called() {
    let world = World::start();
    let vm = world.client.vms().launch("c1m2").call().unwrap();
    let output = vm
        .stream("echo one")
        .call()
        .unwrap()
        .output()
        .call()
        .unwrap();
    assert_eq!(output.stdout, b"one\n");
    let mut text = String::new();
    let mut reader = &b"two"[..];
    assert_eq!(reader.read_to_string(&mut text).call().unwrap(), 3);
}
