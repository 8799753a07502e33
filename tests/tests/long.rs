//! What takes minutes in real time, with the defaults that users get. Not part of the ordinary run:
//! `cargo test -p fastvm-tests --test long -- --ignored`.

use std::time::Duration;

use fastvm::{Error, ErrorKind};
use fastvm_tests::World;

const TEN_MINUTES: Duration = Duration::from_secs(600);

#[tokio::test]
#[ignore = "takes ten minutes"]
async fn a_command_may_take_ten_minutes_and_say_nothing() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let quiet = "sleep 600; echo done";
    let streamed = async { vm.stream(quiet).await?.output().await.map_err(Error::from) };
    let (buffered, streamed) = tokio::join!(vm.run(quiet).into_future(), streamed);
    let (buffered, streamed) = (buffered.unwrap(), streamed.unwrap());
    assert!(buffered.is_success() && buffered.stdout == "done\n");
    assert!(buffered.duration() >= TEN_MINUTES);
    assert!(streamed.is_success() && streamed.stdout == b"done\n");
    assert!(streamed.exit.duration >= TEN_MINUTES);
}

#[tokio::test]
#[ignore = "takes a minute"]
async fn a_paused_vm_ends_the_wait_for_it_within_the_default_checks() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    vm.run("mkfifo up").await.unwrap().ensure_success().unwrap();
    let run = tokio::spawn(vm.run("echo up > up; sleep 600").into_future());
    vm.run("cat up").await.unwrap().ensure_success().unwrap();
    let stream = vm.stream("sleep 600").await.unwrap();
    vm.pause().await.unwrap();
    let ended = async { tokio::join!(run, stream.output()) };
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
    let (run, stream) = ended.unwrap();
    assert_eq!(run.unwrap().unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(stream.unwrap_err().error.kind(), ErrorKind::Gone);
}
