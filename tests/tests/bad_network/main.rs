//! Networks that are bad, not dead: 200 ms there and back, 256 KiB a second, one packet in a hundred
//! lost. What is begun is completed, and what is broken off goes on where it was.
//!
//! In the ordinary run a proxy is such a network, as far as one can be above TCP: to a program, a lost
//! packet is a pause. Of real packets, lost ones and a peer that falls silent: `cargo test -p
//! fastvm-tests --test bad_network -- --ignored --nocapture`, which takes two minutes and needs root,
//! `/dev/net/tun`, `ip` of iproute2 and Python. No module of the kernel (`netem`) is needed.

#[cfg(target_os = "linux")]
mod line;

use std::time::{Duration, Instant};

use fastvm::{Client, Error, RetryPolicy, Vm};
use fastvm_local::Fault;
use fastvm_tests::{FaultProxy, Trouble, Way, World};

/// There; and as much back.
const LATENCY: Duration = Duration::from_millis(100);
const BYTES_PER_SECOND: u64 = 256 * 1024;
const KIB: usize = 1024;

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
}

/// A client that repeats soon.
fn client(base_url: &str, key: &str) -> Client {
    let mut retries = RetryPolicy::default();
    retries.first_backoff = Duration::from_millis(50);
    let builder = Client::builder()
        .base_url(base_url)
        .api_key(key)
        .retry(retries);
    builder.build().unwrap()
}

/// The proxy is a bad network for all connections from now on.
fn worsen(proxy: &FaultProxy) {
    let packet = 1460;
    let mut rng = fastrand::Rng::with_seed(5);
    for way in [Way::ToServer, Way::ToClient] {
        proxy.add(Trouble::Latency(LATENCY).of(way));
        proxy.add(Trouble::Throttle(BYTES_PER_SECOND).of(way));
        // TCP sends a lost packet again after some 300 ms; what is behind it waits.
        let mut lost_at = 0;
        for _ in 0..20 {
            lost_at += rng.u64(50..150) * packet;
            proxy.add(
                Trouble::Delay(Duration::from_millis(300))
                    .of(way)
                    .after(lost_at),
            );
        }
    }
}

/// A file up and down, a folder up and down, and a stream: all at once, and all whole.
async fn everything_gets_through(vm: &Vm, length: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (local, back) = (folder.path().join("folder"), folder.path().join("back"));
    std::fs::create_dir(&local).unwrap();
    for name in ["one", "two"] {
        std::fs::write(local.join(name), noise(name.len() as u64, length / 8)).unwrap();
    }
    let file = async {
        let data = noise(1, length);
        vm.upload_bytes(data.clone(), "/root/up")
            .verify(true)
            .await?;
        assert!(vm.download_bytes("/root/up").verify(true).await? == data);
        Ok(())
    };
    let folders = async {
        vm.upload(&local, "/root/folder").await?;
        vm.download("/root/folder", &back).await?;
        for name in ["one", "two"] {
            let read = |folder: &std::path::Path| std::fs::read(folder.join(name)).unwrap();
            assert!(read(&local) == read(&back), "{name}");
        }
        Ok(())
    };
    let stream = async {
        let line = format!("seq {}; exit 3", length / 8);
        let output = vm.stream(line).await?.output().await?;
        let expected: String = (1..=length / 8)
            .map(|number| format!("{number}\n"))
            .collect();
        assert!(output.stdout == expected.as_bytes());
        assert_eq!(output.exit.code, 3);
        Ok::<_, Error>(())
    };
    let begin = Instant::now();
    tokio::try_join!(file, folders, stream).unwrap();
    println!("{} KiB each way took {:.1?}", length / KIB, begin.elapsed());
}

#[tokio::test]
async fn what_is_slow_late_and_lossy_gets_through_as_a_whole() {
    let (world, proxy) = World::behind_proxy().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    worsen(&proxy);
    // New connections: the old ones are as they were.
    let client = client(&proxy.base_url(), world.server.api_key());
    let vm = client.vms().retrieve(&vm.id).await.unwrap();
    let begin = Instant::now();
    everything_gets_through(&vm, 512 * KIB).await;
    // The bytes of the file alone take so long.
    assert!(
        begin.elapsed() >= Duration::from_secs(2),
        "that network was too good"
    );
}

#[tokio::test]
async fn a_download_that_breaks_on_a_bad_network_goes_on_where_it_was() {
    let length = 512 * KIB;
    let (world, proxy) = World::behind_proxy().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let data = noise(2, length);
    vm.upload_bytes(data.clone(), "/root/data").await.unwrap();
    worsen(&proxy);
    // It breaks twice. What came before is not sent again: three answers, of which the last two
    // would be longer than what is left.
    for after in [200_000, 150_000] {
        let cut = Trouble::Reset.of(Way::ToClient).when("GET /_storage");
        proxy.add(cut.after(after).once());
    }
    let gets = Fault::delay(Duration::ZERO).on("storage.get");
    let gets = world.server.faults().add(gets).unwrap();
    let client = client(&proxy.base_url(), world.server.api_key());
    let download = client.download_bytes(&vm.id, "/root/data").verify(true);
    assert!(download.await.unwrap() == data);
    assert_eq!(world.server.faults().fired(gets), 2);
}

/// Of real packets.
#[cfg(target_os = "linux")]
mod packets {
    use fastvm::ErrorKind;

    use super::*;
    use crate::line::Line;

    #[test]
    #[ignore = "needs root, and takes half a minute"]
    fn what_loses_packets_gets_through_as_a_whole() {
        let Some(line) = Line::lay() else { return };
        line.between(|server_url, key| async move {
            let client = client(&server_url, &key);
            let vm = client.vms().launch("c1m2").await.unwrap();
            everything_gets_through(&vm, 2048 * KIB).await;
            vm.delete().await.unwrap();
        });
        let (passed, lost) = line.packets();
        println!("{passed} packets passed and {lost} were lost");
        assert!(lost > passed / 200, "that network was too good");
    }

    #[test]
    #[ignore = "needs root, and takes a minute"]
    fn a_peer_that_falls_silent_is_noticed_within_about_a_minute() {
        let Some(line) = Line::lay() else { return };
        line.between(|server_url, key| {
            let line = &line;
            async move {
                // The network alone has to tell: nobody is asked about the VM.
                let builder = Client::builder().base_url(server_url).api_key(key);
                let client = builder.idle_check(None).max_retries(0).build().unwrap();
                let vm = client.vms().launch("c1m2").await.unwrap();
                let run = tokio::spawn(vm.run("touch ran; sleep 600").into_future());
                let stream = vm.stream("echo begun; sleep 600").await.unwrap();
                let data = noise(3, 8 * 1024 * KIB);
                let upload = vm.upload_bytes(data, "/root/data");
                let upload = upload.stall_timeout(Duration::from_secs(600));
                let upload = tokio::spawn(upload.into_future());
                while !vm.fs().exists("/root/ran").await.unwrap() {}
                line.cut();
                let begin = Instant::now();
                let ended = |what: &'static str, error: Error| {
                    let (kind, took) = (error.kind(), begin.elapsed());
                    println!("{what} ended after {took:.1?}: {error:?}");
                    assert!(matches!(kind, ErrorKind::Connection | ErrorKind::Stream));
                    assert!(took > Duration::from_secs(15), "{what} gave up early");
                    assert!(took < Duration::from_secs(75), "{what} took too long");
                };
                let runs = async { ended("a run", run.await.unwrap().unwrap_err()) };
                let streams = async { ended("a stream", stream.output().await.unwrap_err().error) };
                let uploads = async { ended("an upload", upload.await.unwrap().unwrap_err()) };
                let new_connections = async {
                    let fresh = super::client(client.base_url(), "k");
                    let list = fresh.vms().list().max_retries(0);
                    let error = list.await.unwrap_err();
                    let took = begin.elapsed();
                    println!("a connection was given up after {took:.1?}: {error:?}");
                    assert!(error.is_connect() && took < Duration::from_secs(8));
                };
                tokio::join!(runs, streams, uploads, new_connections);
            }
        });
    }
}
