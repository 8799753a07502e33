//! VMs that end with their client.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fastvm::types::{TtlAction, VmTtl};
use fastvm::{Client, ErrorKind};
use fastvm_local::Fault;
use fastvm_tests::{World, client};

use crate::launch::{count, eventually, fired, vms, vms_are};

const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_lease_keeps_the_vm_alive() {
    let world = World::start().await;
    let beats = count(&world, "refreshVmTtl");
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let lease = vm.lease(SHORT).await.unwrap();
    assert_eq!(lease.ttl, Some(VmTtl::new(1, TtlAction::Delete)));
    // A third of a second each: without them the VM would be gone by now.
    eventually(async || world.server.faults().fired(beats) > 5).await;
    assert_eq!(vms(&world).await, 1);
    assert!(!lease.is_lost());
}

#[tokio::test]
async fn a_lease_that_is_dropped_takes_the_vm_with_it_be_it_one_that_has_died() {
    let world = World::start().await;
    let launch = || world.client.vms().launch("c1m2").lease(LONG);
    drop(launch().await.unwrap());
    vms_are(&world, 0).await;

    // The TTL ends with the VM's life.
    let lease = launch().await.unwrap();
    let death = Fault::vm_dies_after(0).on("execVm").times(1);
    world.server.faults().add(death).unwrap();
    lease.run("true").await.unwrap_err();
    assert_eq!(lease.retrieve().await.unwrap().status, "stopped");
    drop(lease);
    vms_are(&world, 0).await;
}

#[tokio::test]
async fn closing_a_lease_deletes_the_vm_at_once() {
    let world = World::start().await;
    let lease = world.client.vms().launch("c1m2").lease(LONG).await.unwrap();
    assert_eq!(lease.run("echo in").await.unwrap().stdout, "in\n");
    lease.close().await.unwrap();
    assert_eq!(vms(&world).await, 0);
}

#[tokio::test]
async fn a_lease_that_is_given_up_keeps_the_vm_without_a_ttl() {
    let world = World::start().await;
    let lease = world.client.vms().launch("c1m2").lease(LONG).await.unwrap();
    let vm = lease.keep().await.unwrap();
    assert_eq!(vm.ttl, None);
    let now = vm.retrieve().await.unwrap();
    assert_eq!((now.ttl.clone(), now.status.as_str()), (None, "running"));
}

#[tokio::test]
async fn a_leased_launch_has_its_ttl_from_the_start() {
    let world = World::with_boot_delay(Duration::from_millis(1500)).await;
    // Polled less often than the lease is long, the VM would be gone before anybody noticed it.
    let launch = world.client.vms().launch("c1m2").poll_interval(LONG);
    let lease = launch.lease(SHORT).await.unwrap();
    assert_eq!(lease.ttl, Some(VmTtl::new(1, TtlAction::Delete)));
    assert_eq!(lease.status, "running");
    lease.close().await.unwrap();
}

#[tokio::test]
async fn a_lease_outlasts_passing_faults() {
    let world = World::start().await;
    let faults = world.server.faults();
    let beats = count(&world, "refreshVmTtl");
    for fault in [Fault::status(503), Fault::status(429), Fault::cut()] {
        faults.add(fault.on("refreshVmTtl").times(1)).unwrap();
    }
    let vms = world.client.vms();
    let lease = vms.launch("c1m2").lease(Duration::from_secs(3)).await;
    let lease = lease.unwrap();
    eventually(async || faults.fired(beats) > 3).await;
    assert!(!lease.is_lost());
}

#[tokio::test]
async fn a_lease_whose_heartbeat_does_not_get_through_is_lost_when_its_time_is_over() {
    let world = World::start().await;
    let beats = world.server.faults();
    beats.add(Fault::status(503).on("refreshVmTtl")).unwrap();
    let lease = world
        .client
        .vms()
        .launch("c1m2")
        .lease(SHORT)
        .await
        .unwrap();
    let error = lease.lost().await;
    assert_eq!(error.kind(), ErrorKind::Gone);
    assert_eq!(error.vm_id(), Some(lease.id.as_str()));
    assert!(lease.is_lost());
    vms_are(&world, 0).await;
}

#[tokio::test]
async fn a_lease_is_lost_with_its_vm_or_its_ttl() {
    let world = World::start().await;
    let vms = world.client.vms();
    let lease = vms.launch("c1m2").lease(SHORT).await.unwrap();
    lease.delete().await.unwrap();
    assert!(lease.lost().await.to_string().contains("deleted"));

    let lease = vms.launch("c1m2").lease(SHORT).await.unwrap();
    lease.update().ttl(None).await.unwrap();
    assert!(lease.lost().await.to_string().contains("no TTL"));
    let vm = lease.clone();
    // It is somebody else's now.
    drop(lease);
    let deletions = count(&world, "deleteVm");
    assert!(vm.run("true").await.unwrap().is_success());
    assert_eq!(world.server.faults().fired(deletions), 0);

    let lease = vm.lease(SHORT).await.unwrap();
    let death = Fault::vm_dies_after(0).on("execVm").times(1);
    world.server.faults().add(death).unwrap();
    lease.run("true").await.unwrap_err();
    let error = lease.lost().await;
    assert_eq!(error.vm_status().unwrap(), &"stopped", "{error:?}");
    lease.close().await.unwrap();
    assert_eq!(world.client.vms().list().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_lease_of_no_time_or_of_too_long_a_time_is_refused_before_anything_is_sent() {
    let world = World::start().await;
    let launches = count(&world, "launchVm");
    let changes = count(&world, "updateVm");
    for length in [Duration::ZERO, Duration::MAX] {
        let launch = world.client.vms().launch("c1m2").lease(length);
        assert!(launch.await.unwrap_err().is_invalid_input());
    }
    assert_eq!(world.server.faults().fired(launches), 0);
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    assert!(
        vm.lease(Duration::ZERO)
            .await
            .unwrap_err()
            .is_invalid_input()
    );
    assert_eq!(world.server.faults().fired(changes), 0);
}

#[tokio::test]
async fn a_client_that_is_killed_leaves_nothing() {
    let world = World::start().await;
    let beats = count(&world, "refreshVmTtl");
    let mut process = other_client(&world);
    eventually(async || world.server.faults().fired(beats) > 5).await;
    assert_eq!(vms(&world).await, 1);
    kill(&mut process);
    vms_are(&world, 0).await;
}

#[tokio::test]
async fn a_client_that_is_killed_while_its_launch_waits_leaves_nothing() {
    let world = World::with_boot_delay(Duration::from_millis(500)).await;
    let polls = count(&world, "getVm");
    let mut process = other_client(&world);
    fired(&world, polls).await;
    assert_eq!(vms(&world).await, 1);
    kill(&mut process);
    vms_are(&world, 0).await;
}

/// A process that launches a leased VM and waits for its own end: this binary, run for one test.
fn other_client(world: &World) -> Child {
    let this = std::env::current_exe().unwrap();
    Command::new(this)
        .args(["--exact", "lease::the_client_that_is_killed", "--ignored"])
        .env("LEASE_BASE_URL", world.server.base_url())
        .env("LEASE_API_KEY", world.server.api_key())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// `SIGKILL`: the process gets no say.
fn kill(process: &mut Child) {
    process.kill().unwrap();
    let end = process.wait().unwrap();
    assert_eq!(end.code(), None, "it ended by itself: {end}");
}

#[tokio::test]
#[ignore = "the process that other tests kill"]
async fn the_client_that_is_killed() {
    let variable = |name| std::env::var(name).ok();
    let (Some(url), Some(key)) = (variable("LEASE_BASE_URL"), variable("LEASE_API_KEY")) else {
        return;
    };
    let client: Client = client(&url, &key);
    let _lease = client.vms().launch("c1m2").lease(SHORT).await.unwrap();
    std::future::pending().await
}
