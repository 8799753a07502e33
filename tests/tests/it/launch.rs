//! Launching and waiting.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastvm::types::VmStatus;
use fastvm::{Cleanup, ErrorKind, LAUNCH_ID_KEY, Outcome};
use fastvm_local::{Fault, FaultId};
use fastvm_tests::{Reply, Stub, World, client};
use futures_util::FutureExt;

const VM: &str = r#"{"id":"vm-1","name":"n","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"createdAt":"2026-01-01T00:00:00Z","status":"STATUS"}"#;

fn vm(code: u16, status: &str) -> Reply {
    Reply::json(code, &VM.replace("STATUS", status))
}

/// Counts the requests of an operation. To be added before the faults that it shall see.
pub(crate) fn count(world: &World, operation: &str) -> FaultId {
    let harmless = Fault::delay(Duration::ZERO).on(operation);
    world.server.faults().add(harmless).unwrap()
}

/// Waits until a fault has fired.
pub(crate) async fn fired(world: &World, fault: FaultId) {
    eventually(async || world.server.faults().fired(fault) > 0).await;
}

/// How many VMs the server has.
pub(crate) async fn vms(world: &World) -> usize {
    world.client.vms().list().await.unwrap().len()
}

/// Waits until the server has so many VMs.
pub(crate) async fn vms_are(world: &World, wanted: usize) {
    eventually(async || vms(world).await == wanted).await;
}

/// Waits until this holds.
pub(crate) async fn eventually(condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it never came true"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn launch_waits_until_the_vm_runs_and_is_not_late() {
    let boot = Duration::from_millis(300);
    let world = World::with_boot_delay(boot).await;
    let start = Instant::now();
    let vm = world
        .client
        .vms()
        .launch("c1m2")
        .name("  my   vm ")
        .metadata("env", "prod")
        .await
        .unwrap();
    let took = start.elapsed();
    assert_eq!(vm.status, VmStatus::Running);
    assert_eq!(vm.name, "my vm");
    assert!(vm.warnings().is_empty());
    assert!(took >= boot, "{took:?}");
    assert!(took < boot + Duration::from_millis(700), "late: {took:?}");
}

#[tokio::test]
async fn launch_without_waiting_gives_the_vm_as_it_is_and_it_can_be_waited_for() {
    let world = World::with_boot_delay(Duration::from_millis(200)).await;
    let answer = world
        .client
        .vms()
        .launch("c1m2")
        .wait(false)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.status, VmStatus::Provisioning);
    let id = answer.id.clone();
    let vm = world
        .client
        .wait_for_vm_ready(&id)
        .poll_interval(Duration::from_millis(40))
        .await
        .unwrap();
    assert_eq!(vm.status, "running");
    let listed = world
        .client
        .vms()
        .list()
        .status("running")
        .metadata("env", "prod")
        .await
        .unwrap();
    assert!(listed.is_empty());
    let listed = world.client.vms().list().status("running").await.unwrap();
    let handle = world.client.vms().handle(listed[0].clone());
    assert_eq!(handle.id, id);
}

#[tokio::test]
async fn a_vm_that_ends_in_error_is_a_launch_error_with_its_id_and_status_and_is_deleted() {
    let world = World::with_boot_delay(Duration::from_millis(50)).await;
    let launches = count(&world, "launchVm");
    world.server.faults().add(Fault::failing_boot()).unwrap();
    let error = world.client.vms().launch("c1m2").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Launch);
    assert_eq!(error.vm_status(), Some(&VmStatus::Error));
    assert!(error.vm_id().is_some());
    assert!(matches!(error.cleanup(), Some(Cleanup::Deleted)), "{error}");
    assert!(error.to_string().contains("was deleted"), "{error}");
    assert_eq!(vms(&world).await, 0);
    assert_eq!(world.server.faults().fired(launches), 1);
}

#[tokio::test]
async fn a_vm_that_is_not_ready_at_the_deadline_is_a_not_ready_error_and_is_deleted() {
    let world = World::with_boot_delay(Duration::from_secs(60)).await;
    let start = Instant::now();
    let launch = world.client.vms().launch("c1m2");
    let error = launch
        .wait_timeout(Duration::from_millis(300))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(error.is_timeout());
    assert!(error.vm_id().is_some());
    assert_eq!(error.vm_status(), Some(&VmStatus::Provisioning));
    assert!(matches!(error.cleanup(), Some(Cleanup::Deleted)), "{error}");
    assert_eq!(vms(&world).await, 0);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_failed_launch_leaves_the_vm_to_a_caller_who_asked_for_it() {
    let world = World::with_boot_delay(Duration::from_millis(20)).await;
    world.server.faults().add(Fault::failing_boot()).unwrap();
    let launch = world.client.vms().launch("c1m2").keep_on_failure();
    let error = launch.await.unwrap_err();
    assert!(matches!(error.cleanup(), Some(Cleanup::Kept)), "{error}");
    let left = world.client.vms().retrieve(error.vm_id().unwrap());
    assert_eq!(left.await.unwrap().status, VmStatus::Error);
}

#[tokio::test]
async fn an_error_says_when_the_vm_could_not_be_deleted() {
    let world = World::with_boot_delay(Duration::from_millis(20)).await;
    world.server.faults().add(Fault::failing_boot()).unwrap();
    let refused = Fault::status(403).on("deleteVm");
    world.server.faults().add(refused).unwrap();
    let error = world.client.vms().launch("c1m2").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Launch);
    let Some(Cleanup::Failed(cause)) = error.cleanup() else {
        panic!("{error}");
    };
    assert!(cause.is_forbidden());
    let id = error.vm_id().unwrap();
    let shown = error.to_string();
    assert!(
        shown.contains("could not be deleted") && shown.contains(id),
        "{shown}"
    );
    assert_eq!(vms(&world).await, 1);
}

#[tokio::test]
async fn a_deletion_outlasts_passing_faults() {
    let world = World::with_boot_delay(Duration::from_millis(20)).await;
    let faults = world.server.faults();
    faults.add(Fault::failing_boot()).unwrap();
    faults
        .add(Fault::status(503).on("deleteVm").times(1))
        .unwrap();
    faults
        .add(Fault::cut_after_work().on("deleteVm").times(1))
        .unwrap();
    let error = world.client.vms().launch("c1m2").await.unwrap_err();
    assert!(matches!(error.cleanup(), Some(Cleanup::Deleted)), "{error}");
    assert_eq!(vms(&world).await, 0);
}

#[tokio::test]
async fn a_launch_that_is_dropped_while_it_waits_deletes_the_vm() {
    let world = World::with_boot_delay(Duration::from_secs(60)).await;
    let polls = count(&world, "getVm");
    let deletions = count(&world, "deleteVm");
    let launch = tokio::spawn(world.client.vms().launch("c1m2").into_future());
    fired(&world, polls).await;
    launch.abort();
    fired(&world, deletions).await;
    vms_are(&world, 0).await;
}

#[tokio::test]
async fn a_launch_that_is_dropped_while_its_request_is_under_way_deletes_the_vm() {
    for waits in [true, false] {
        let world = World::start().await;
        let launches = count(&world, "launchVm");
        let deletions = count(&world, "deleteVm");
        let slow = Fault::delay(Duration::from_millis(200)).on("launchVm");
        world.server.faults().add(slow).unwrap();
        let launch = world.client.vms().launch("c1m2").wait(waits);
        let launch = tokio::spawn(launch.into_future());
        fired(&world, launches).await;
        launch.abort();
        fired(&world, deletions).await;
        vms_are(&world, 0).await;
        assert_eq!(world.server.faults().fired(launches), 1);
    }
}

#[tokio::test]
async fn a_launch_that_is_dropped_leaves_the_vm_to_a_caller_who_asked_for_it() {
    let world = World::start().await;
    let launches = count(&world, "launchVm");
    let deletions = count(&world, "deleteVm");
    let slow = Fault::delay(Duration::from_millis(200)).on("launchVm");
    world.server.faults().add(slow).unwrap();
    let launch = world.client.vms().launch("c1m2").keep_on_failure();
    let launch = tokio::spawn(launch.into_future());
    fired(&world, launches).await;
    launch.abort();
    vms_are(&world, 1).await;
    assert_eq!(world.server.faults().fired(deletions), 0);
}

#[tokio::test]
async fn a_launch_that_is_dropped_before_anything_was_sent_sends_nothing() {
    let world = World::start().await;
    let launches = count(&world, "launchVm");
    drop(world.client.vms().launch("c1m2").into_future());
    // Polled once: on one thread, the task that sends it has not run yet.
    let polled = world
        .client
        .vms()
        .launch("c1m2")
        .into_future()
        .now_or_never();
    assert!(polled.is_none());
    tokio::task::yield_now().await;
    assert_eq!(vms(&world).await, 0);
    assert_eq!(world.server.faults().fired(launches), 0);
}

#[tokio::test]
async fn a_launch_whose_answer_was_lost_is_found_again_and_not_repeated() {
    let lost = [
        Fault::cut_after_work(),
        Fault::cut_body_after(20),
        Fault::truncate_body(20),
    ];
    for lost in lost {
        let world = World::with_boot_delay(Duration::from_millis(100)).await;
        let launches = count(&world, "launchVm");
        world.server.faults().add(lost.on("launchVm")).unwrap();
        let answer = world.client.vms().launch("c1m2").metadata("env", "test");
        let vm = answer.await.unwrap();
        assert_eq!(vm.status, VmStatus::Running);
        assert_eq!(vm.metadata["env"], "test");
        assert_eq!(vms(&world).await, 1);
        assert_eq!(world.server.faults().fired(launches), 1);
    }
}

#[tokio::test]
async fn a_lost_launch_is_found_though_it_shows_up_late_and_is_not_waited_for() {
    let world = World::with_boot_delay(Duration::from_secs(60)).await;
    let faults = world.server.faults();
    faults.add(Fault::cut_after_work().on("launchVm")).unwrap();
    faults
        .add(Fault::status(503).on("listVms").times(1))
        .unwrap();
    faults
        .add(Fault::status(200).body("[]").on("listVms").times(1))
        .unwrap();
    let launch = world.client.vms().launch("c1m2").wait(false);
    let answer = launch.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.status, VmStatus::Provisioning);
    assert_eq!(vms(&world).await, 1);
}

#[tokio::test]
async fn a_lost_launch_that_is_dropped_is_found_and_deleted() {
    let world = World::start().await;
    let faults = world.server.faults();
    let looks = count(&world, "listVms");
    let deletions = count(&world, "deleteVm");
    faults.add(Fault::cut_after_work().on("launchVm")).unwrap();
    faults
        .add(Fault::status(503).on("listVms").times(2))
        .unwrap();
    let launch = tokio::spawn(world.client.vms().launch("c1m2").into_future());
    fired(&world, looks).await;
    launch.abort();
    fired(&world, deletions).await;
    vms_are(&world, 0).await;
}

#[tokio::test]
async fn a_lost_launch_that_cannot_be_looked_for_says_which_label_to_look_for() {
    let world = World::start().await;
    let launches = count(&world, "launchVm");
    let faults = world.server.faults();
    faults.add(Fault::cut_after_work().on("launchVm")).unwrap();
    let refused = faults
        .add(Fault::status(403).on("listVms").times(1))
        .unwrap();
    let error = world.client.vms().launch("c1m2").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.cleanup().is_none());
    assert_eq!(faults.fired(refused), 1);
    let left = &world.client.vms().list().await.unwrap()[0];
    let label = format!("{LAUNCH_ID_KEY}={}", left.metadata[LAUNCH_ID_KEY]);
    assert!(error.to_string().contains(&label), "{error}");
    assert_eq!(faults.fired(launches), 1);
}

#[tokio::test]
async fn a_lost_launch_without_an_id_is_reported_and_not_looked_for() {
    let world = World::start().await;
    let faults = world.server.faults();
    let launches = count(&world, "launchVm");
    let looks = count(&world, "listVms");
    faults.add(Fault::cut_after_work().on("launchVm")).unwrap();
    let launch = world.client.vms().launch("c1m2").launch_id(false);
    let error = launch.await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(error.to_string().contains("without a launch id"), "{error}");
    assert_eq!((faults.fired(launches), faults.fired(looks)), (1, 0));
    let left = &world.client.vms().list().await.unwrap()[0];
    assert!(left.metadata.is_empty());
}

#[tokio::test]
async fn a_launch_that_timed_out_or_met_a_5xx_is_adopted() {
    for lost in [Reply::Stall, Reply::html(502), Reply::json(504, "{}")] {
        let stub = Stub::answering(move |request| match request.line.split_once('?') {
            None if request.line == "POST /v1/vms" => lost.clone(),
            Some((_, query)) => {
                let id = query.strip_prefix("metadata.fastvm-launch-id=").unwrap();
                let metadata = format!(r#""metadata":{{"fastvm-launch-id":"{id}"}},"status""#);
                let vm = VM
                    .replace("STATUS", "running")
                    .replace(r#""status""#, &metadata);
                Reply::json(200, &format!("[{vm}]"))
            }
            None => Reply::json(404, "{}"),
        })
        .await;
        let client = client(stub.base_url(), "k");
        let launch = client.vms().launch("c1m2");
        let launch = launch.request_timeout(Duration::from_millis(200));
        assert_eq!(launch.await.unwrap().id, "vm-1");
        let posts = stub.requests().into_iter();
        assert_eq!(
            posts
                .filter(|request| request.line.starts_with("POST"))
                .count(),
            1
        );
    }
}

#[tokio::test]
async fn a_launch_that_was_refused_is_neither_looked_for_nor_repeated() {
    let world = World::start().await;
    let faults = world.server.faults();
    let launches = count(&world, "launchVm");
    let looks = count(&world, "listVms");
    faults.add(Fault::status(429).on("launchVm")).unwrap();
    let error = world.client.vms().launch("c1m2").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert_eq!((faults.fired(launches), faults.fired(looks)), (1, 0));
}

#[tokio::test]
async fn a_wait_for_a_vm_that_fails_leaves_the_vm() {
    let world = World::with_boot_delay(Duration::from_secs(60)).await;
    let vm = world.client.vms().launch("c1m2").wait(false).await.unwrap();
    let wait = world.client.wait_for_vm_ready(&vm.id);
    let error = wait
        .wait_timeout(Duration::from_millis(50))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(error.cleanup().is_none());
    assert_eq!(vms(&world).await, 1);
}

/// Answers a deletion properly, and all else in turn.
async fn deleting(replies: [Reply; 2]) -> Stub {
    let seen = AtomicUsize::new(0);
    Stub::answering(move |request| match request.line.starts_with("DELETE") {
        true => Reply::json(200, r#"{"id":"vm-1","deleted":true}"#),
        false => replies[seen.fetch_add(1, Ordering::Relaxed).min(1)].clone(),
    })
    .await
}

#[tokio::test]
async fn every_failure_state_ends_the_wait_and_an_unknown_one_does_not() {
    for status in ["error", "stopped", "deleting"] {
        let stub = deleting([vm(202, "provisioning"), vm(200, status)]).await;
        let error = client(stub.base_url(), "k")
            .vms()
            .launch("c1m2")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Launch, "{status}");
        assert_eq!(error.vm_status().map(VmStatus::as_str), Some(status));
    }
    let stub = Stub::start([vm(202, "warming"), vm(200, "almost"), vm(200, "running")]).await;
    let running = client(stub.base_url(), "k")
        .vms()
        .restore("snp_1")
        .await
        .unwrap();
    assert_eq!(running.status, "running");
    let launch = &stub.requests()[0];
    assert_eq!(launch.line, "POST /v1/vms");
    assert_eq!(
        String::from_utf8_lossy(&launch.body),
        r#"{"snapshotId":"snp_1"}"#
    );
}

#[tokio::test]
async fn the_deadline_bounds_a_poll_that_hangs() {
    let stub = deleting([vm(202, "provisioning"), Reply::Stall]).await;
    let start = Instant::now();
    let launch = client(stub.base_url(), "k").vms().launch("c1m2");
    let error = launch
        .wait_timeout(Duration::from_millis(400))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_poll_that_fails_does_not_end_the_wait_but_a_final_answer_does() {
    let failing = Reply::json(500, "{}").header("x-should-retry", "false");
    let stub = Stub::start([
        vm(202, "provisioning"),
        failing,
        Reply::json(200, "{}"),
        vm(200, "running"),
    ])
    .await;
    let vm_1 = client(stub.base_url(), "k")
        .vms()
        .launch("c1m2")
        .await
        .unwrap();
    assert_eq!(vm_1.id, "vm-1");
    for status in [401, 403, 404] {
        let stub = deleting([vm(202, "provisioning"), Reply::json(status, "{}")]).await;
        let error = client(stub.base_url(), "k")
            .vms()
            .launch("c1m2")
            .await
            .unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!(error.vm_id(), Some("vm-1"));
        assert_eq!(error.vm_status(), Some(&VmStatus::Provisioning));
    }
}

#[tokio::test]
async fn verbs_that_answer_a_vm_give_a_new_handle() {
    let stub = Stub::start([vm(200, "paused"), vm(200, "running"), vm(200, "running")]).await;
    let client = client(stub.base_url(), "k");
    let vm: fastvm::Vm = client.vms().retrieve("vm-1").await.unwrap();
    let running: fastvm::Vm = vm.resume().await.unwrap();
    let updated: fastvm::Vm = running
        .update()
        .name("new")
        .set_metadata(Default::default())
        .await
        .unwrap();
    assert_eq!(
        (vm.status.as_str(), updated.status.as_str()),
        ("paused", "running")
    );
    let plain: fastvm::types::Vm = client.raw().vms().retrieve("vm-1").await.unwrap();
    assert_eq!(plain.id, vm.id);
    let lines: Vec<_> = stub
        .requests()
        .into_iter()
        .map(|request| request.line)
        .collect();
    assert_eq!(
        lines,
        [
            "GET /v1/vms/vm-1",
            "POST /v1/vms/vm-1/resume",
            "PATCH /v1/vms/vm-1",
            "GET /v1/vms/vm-1"
        ]
    );
    assert_eq!(stub.requests()[2].body, br#"{"name":"new","metadata":{}}"#);
}

#[tokio::test]
async fn an_id_that_cannot_be_is_not_waited_for() {
    let stub = Stub::start([vm(200, "running")]).await;
    let client = client(stub.base_url(), "k");
    for id in ["", ".."] {
        assert!(
            client
                .wait_for_vm_ready(id)
                .await
                .unwrap_err()
                .is_invalid_input(),
            "{id:?}"
        );
    }
    assert!(stub.requests().is_empty());
}
