//! One client serves a thousand tasks: its clones share their connections, connections are used
//! again, and nothing that one task leaves undone holds up another. That repeats have a budget over
//! all of them is tested with the configuration.

use std::time::Duration;

use fastvm::{Client, Vm};
use fastvm_tests::{FaultProxy, World};
use futures_util::{StreamExt, TryStreamExt, stream};

const TASKS: usize = 1000;

/// Nothing here takes as long unless it starves.
const SOON: Duration = Duration::from_secs(20);

/// A client whose calls share one connection, as they do with a service that offers HTTP/2.
fn over_http_2(world: &World) -> Client {
    let builder = Client::builder()
        .api_key(world.server.api_key())
        .base_url(world.server.base_url())
        .http(|http| http.http2_prior_knowledge());
    builder.build().unwrap()
}

#[test]
fn a_client_is_one_pointer_to_what_its_clones_share() {
    assert_eq!(size_of::<Client>(), size_of::<usize>());
    let client = fastvm_tests::client("http://127.0.0.1:9", "k");
    let clone = client.clone();
    assert!(std::ptr::eq(
        client.raw().transport().as_ref() as *const _ as *const (),
        clone.raw().transport().as_ref() as *const _ as *const (),
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_once_share_one_connection_over_http_2() {
    let (world, proxy) = World::behind_proxy().await;
    let client = over_http_2(&world);
    // Of two that find no connection, each may open one.
    client.vms().list().await.unwrap();
    let calls: Vec<_> = (0..TASKS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.vms().list().max_retries(0).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_over_http_1_take_no_more_connections_than_are_made_at_once() {
    const AT_ONCE: usize = 20;
    let (world, proxy) = World::behind_proxy().await;
    let calls = stream::iter(0..TASKS).map(|_| {
        let client = world.client.clone();
        async move { client.vms().list().max_retries(0).await.map(drop) }
    });
    calls
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await
        .unwrap();
    // A call takes the first connection that is free, be it the one it asked for or another's.
    let accepted = proxy.accepted();
    assert!(accepted <= 2 * AT_ONCE, "{accepted} connections");
}

/// A call of each kind, one after the other.
async fn one_of_each(client: &Client, vm: &Vm) {
    client.vms().retrieve(&vm.id).await.unwrap();
    vm.run("true").await.unwrap();
    let echoed = vm.stream("echo hello").await.unwrap().output().await;
    assert_eq!(echoed.unwrap().stdout, b"hello\n");
    vm.upload_bytes("data", "/root/data").await.unwrap();
    assert_eq!(vm.download_bytes("/root/data").await.unwrap(), "data");
}

#[tokio::test]
async fn calls_commands_streams_and_transfers_use_their_connections_again() {
    const ROUNDS: usize = 5;
    let (world, proxy) = World::behind_proxy().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    one_of_each(&world.client, &vm).await;
    let before = proxy.accepted();
    for _ in 0..ROUNDS {
        // Clones, and the handles made of them, have no connections of their own.
        let client = world.client.clone();
        let vm = client.vms().retrieve(&vm.id).await.unwrap();
        one_of_each(&client, &vm).await;
    }
    // The VM's own way to storage, for a download, leads over the proxy, too.
    assert_eq!(proxy.accepted() - before, ROUNDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_whole_and_leaves_its_connection_whichever_task_reads_it() {
    let (world, proxy) = World::behind_proxy().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let before = proxy.accepted();
    for length in [6, 3_000_000] {
        for (begins_spawned, reads_spawned) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let beginning = vm.stream(format!("yes | head -c {length}")).into_future();
            let stream = match begins_spawned {
                true => tokio::spawn(beginning).await.unwrap(),
                false => beginning.await,
            };
            let reading = stream.unwrap().output();
            let output = match reads_spawned {
                true => tokio::spawn(reading).await.unwrap(),
                false => reading.await,
            };
            let expected = "y\n".repeat(length / 2);
            assert!(
                output.unwrap().stdout == expected.as_bytes(),
                "{length} bytes, begun in a task {begins_spawned}, read in one {reads_spawned}"
            );
        }
    }
    // A stream may begin just before the connection of the last one is free.
    let accepted = proxy.accepted() - before;
    assert!(accepted <= 2, "{accepted} connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_streams_that_nobody_reads_starve_nobody() {
    const UNREAD: usize = 200;
    const LENGTH: usize = 3_000_000;
    let (world, proxy): (World, FaultProxy) = World::behind_proxy().await;
    // All but the streams share a connection: they would starve first.
    let client = over_http_2(&world);
    let vm = client.vms().launch("c1m2").await.unwrap();
    let command = format!("head -c {LENGTH} /dev/zero");
    let mut unread = Vec::new();
    for _ in 0..UNREAD {
        unread.push(vm.stream(command.as_str()).await.unwrap());
    }
    let others = async {
        assert_eq!(client.vms().list().await.unwrap().len(), 1);
        assert_eq!(vm.run("echo ran").await.unwrap().stdout, "ran\n");
        let read = vm.stream("echo read").await.unwrap().output().await;
        assert_eq!(read.unwrap().stdout, b"read\n");
        vm.upload_bytes("data", "/root/data").await.unwrap();
    };
    tokio::time::timeout(SOON, others).await.unwrap();
    // Each has a connection, and so has all else.
    assert!(proxy.open() > UNREAD);
    // They have waited, and lost nothing.
    for stream in unread.split_off(UNREAD - 3) {
        let output = stream.output().await.unwrap();
        assert_eq!(output.stdout.len(), LENGTH);
    }
    drop(unread);
    // A dropped stream leaves no connection.
    proxy.until_open_at_most(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_take_long_hold_up_no_other_command() {
    // More than a server takes at a time over one HTTP/2 connection.
    const LONG: usize = 250;
    let (world, proxy) = World::behind_proxy().await;
    let client = over_http_2(&world);
    let vm = client.vms().launch("c1m2").await.unwrap();
    vm.run("mkfifo gate").await.unwrap();
    let waiting: Vec<_> = (0..LONG)
        .map(|_| tokio::spawn(vm.run("echo begun >> log; cat gate").into_future()))
        .collect();
    let have_begun =
        async { while vm.run("wc -l < log").await.unwrap().stdout.trim() != LONG.to_string() {} };
    tokio::time::timeout(3 * SOON, have_begun).await.unwrap();
    let open = proxy.open();
    assert!(open <= 10, "{open} connections");
    // A reader of a pipe that nobody writes to any more is at its end.
    vm.run("sleep 0.1 > gate").await.unwrap();
    for waiting in waiting {
        assert!(waiting.await.unwrap().unwrap().is_success());
    }
}
