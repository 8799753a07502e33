//! Many VMs: launched together, forked, swept.

use std::time::Duration;

use fastvm::Vm;
use fastvm_local::Fault;
use fastvm_tests::{Reply, Stub, World, client};

use crate::launch::{count, eventually, fired, vms, vms_are};

const LONG: Duration = Duration::from_secs(60);

async fn snapshots(world: &World) -> usize {
    world.client.snapshots().list().await.unwrap().len()
}

async fn named(world: &World, names: &[&str]) -> Vec<Vm> {
    let vms = world.client.vms();
    let many = vms.launch_many(names.len(), |i| vms.launch("c1m2").name(names[i]));
    many.all_or_nothing().await.unwrap()
}

#[tokio::test]
async fn many_launches_give_their_vms_in_order_and_no_more_than_allowed_at_a_time() {
    let world = World::with_boot_delay(Duration::from_millis(150)).await;
    let vms = world.client.vms();
    let many = vms.launch_many(5, |i| vms.launch("c1m2").name(format!("w{i}")));
    let begin = std::time::Instant::now();
    let launched = many.concurrency(2).await;
    // Three rounds of two.
    assert!(begin.elapsed() >= Duration::from_millis(450));
    let names: Vec<String> = launched
        .into_iter()
        .map(|vm| vm.unwrap().name.clone())
        .collect();
    assert_eq!(names, ["w0", "w1", "w2", "w3", "w4"]);
    assert_eq!(world.client.vms().list().await.unwrap().len(), 5);
}

#[tokio::test]
async fn many_launches_that_wait_poll_no_more_than_twenty_times_a_second_in_all() {
    const MANY: usize = 40;
    let boot = Duration::from_secs(2);
    let world = World::with_boot_delay(boot).await;
    let polls = [count(&world, "getVm"), count(&world, "listVms")];
    let launch = world.client.vms().launch("c1m2");
    let many = world.client.vms().launch_many(MANY, |_| launch.clone());
    let begin = std::time::Instant::now();
    let launched = many.concurrency(MANY).all_or_nothing().await.unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    assert!(launched.iter().all(|vm| vm.status == "running"));
    let asked: u64 = polls
        .map(|fault| world.server.faults().fired(fault))
        .iter()
        .sum();
    // Six at once, the others fourteen a second.
    assert!(
        asked as f64 <= 7.0 + 14.0 * seconds,
        "{asked} polls in {seconds} s"
    );
}

#[tokio::test]
async fn launches_need_no_list_to_be_waited_for() {
    let world = World::with_boot_delay(Duration::from_millis(300)).await;
    let refused = Fault::status(403).on("listVms");
    world.server.faults().add(refused).unwrap();
    let launch = world.client.vms().launch("c1m2");
    let many = world.client.vms().launch_many(5, |_| launch.clone());
    assert_eq!(many.all_or_nothing().await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_poll_that_stalls_holds_up_no_other_launch_for_long() {
    let world = World::with_boot_delay(Duration::from_millis(300)).await;
    let stall = Fault::stall().on("getVm").times(1);
    let stall = world.server.faults().add(stall).unwrap();
    let launch = world.client.vms().launch("c1m2");
    let stalled = tokio::spawn(launch.clone().into_future());
    fired(&world, stall).await;
    let begin = std::time::Instant::now();
    launch.await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5));
    stalled.abort();
}

#[tokio::test]
async fn a_launch_that_fails_in_the_middle_leaves_the_others_alone() {
    let world = World::start().await;
    let refused = Fault::status(429).on("launchVm").after(1).times(1);
    world.server.faults().add(refused).unwrap();
    let launch = world.client.vms().launch("c1m2");
    let many = world.client.vms().launch_many(3, |_| launch.clone());
    let launched = many.concurrency(1).await;
    let went_well: Vec<bool> = launched.iter().map(Result::is_ok).collect();
    assert_eq!(went_well, [true, false, true]);
    assert!(launched[1].as_ref().unwrap_err().is_rate_limited());
    assert_eq!(vms(&world).await, 2);
}

#[tokio::test]
async fn all_or_nothing_leaves_no_vm_when_a_launch_in_the_middle_fails() {
    let world = World::start().await;
    let launches = count(&world, "launchVm");
    let refused = Fault::status(429).on("launchVm").after(2).times(1);
    world.server.faults().add(refused).unwrap();
    let launch = world.client.vms().launch("c1m2");
    let many = world.client.vms().launch_many(6, |_| launch.clone());
    let error = many.concurrency(1).all_or_nothing().await.unwrap_err();
    assert!(error.is_rate_limited(), "{error}");
    assert_eq!(vms(&world).await, 0);
    // After the failure no more are begun.
    assert_eq!(world.server.faults().fired(launches), 3);
}

#[tokio::test]
async fn all_or_nothing_does_not_wait_for_slow_boots_when_one_fails() {
    let world = World::with_boot_delay(LONG).await;
    let fails_late = Fault::status(403).on("launchVm").after(3);
    world.server.faults().add(fails_late).unwrap();
    let launch = world.client.vms().launch("c1m2");
    let many = world.client.vms().launch_many(4, |_| launch.clone());
    let begin = std::time::Instant::now();
    let error = many.all_or_nothing().await.unwrap_err();
    assert!(error.is_forbidden(), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(vms(&world).await, 0);
}

#[tokio::test]
async fn all_or_nothing_says_which_vm_could_not_be_deleted() {
    let world = World::start().await;
    let faults = world.server.faults();
    let refused = Fault::status(429).on("launchVm").after(1);
    faults.add(refused).unwrap();
    faults.add(Fault::status(403).on("deleteVm")).unwrap();
    let launch = world.client.vms().launch("c1m2");
    let many = world.client.vms().launch_many(2, |_| launch.clone());
    let error = many.concurrency(1).all_or_nothing().await.unwrap_err();
    let left = world.client.vms().list().await.unwrap();
    assert_eq!(left.len(), 1);
    assert!(error.is_rate_limited());
    assert!(error.to_string().contains(&left[0].id), "{error}");
}

#[tokio::test]
async fn many_launches_that_are_dropped_leave_no_vm_not_even_those_that_are_up() {
    let world = World::start().await;
    let slow = Fault::slow_boot(LONG).on("launchVm").after(2);
    world.server.faults().add(slow).unwrap();
    let launch = world.client.vms().launch("c1m2");
    let many = world.client.vms().launch_many(4, |_| launch.clone());
    let launching = tokio::spawn(many.concurrency(3).into_future());
    // Two are up and two boot.
    vms_are(&world, 4).await;
    launching.abort();
    vms_are(&world, 0).await;
}

#[tokio::test]
async fn no_launches_at_all_are_no_error_and_no_concurrency_is_one() {
    let world = World::start().await;
    let launch = world.client.vms().launch("c1m2");
    let none = world.client.vms().launch_many(0, |_| launch.clone());
    assert!(none.all_or_nothing().await.unwrap().is_empty());
    let one = world.client.vms().launch_many(1, |_| launch.clone());
    assert!(one.concurrency(0).await[0].is_ok());
}

#[tokio::test]
async fn a_fork_copies_the_vm_and_leaves_no_snapshot() {
    let world = World::start().await;
    let launch = world.client.vms().launch("c1m2").metadata("env", "test");
    let vm = launch.await.unwrap();
    vm.run("echo prepared > /root/state").await.unwrap();
    let copies = vm.fork(3).each(|i, launch| launch.name(format!("copy{i}")));
    let copies = copies.await.unwrap();
    assert_eq!(copies.len(), 3);
    for (i, copy) in copies.into_iter().enumerate() {
        let copy = copy.unwrap();
        assert_eq!(copy.name, format!("copy{i}"));
        assert_eq!(copy.metadata["env"], "test");
        let state = copy.run("cat /root/state").await.unwrap();
        assert_eq!(state.stdout, "prepared\n");
    }
    assert_eq!(vms(&world).await, 4);
    assert_eq!(snapshots(&world).await, 0);
}

#[tokio::test]
async fn a_fork_keeps_the_snapshot_when_asked_and_the_one_of_somebody_else_always() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let kept = vm.fork(1).keep_snapshot("template").all_or_nothing();
    kept.await.unwrap();
    let listed = world.client.snapshots().list().await.unwrap();
    assert_eq!((listed.len(), listed[0].name.as_str()), (1, "template"));

    let paused = vm.pause().await.unwrap();
    let of_somebody = paused.snapshot("theirs").await.unwrap();
    paused.fork(1).all_or_nothing().await.unwrap();
    let retrieve = world.client.snapshots().retrieve(&of_somebody.id);
    assert_eq!(retrieve.await.unwrap().name, "theirs");
}

#[tokio::test]
async fn a_fork_of_all_or_nothing_that_fails_leaves_neither_copies_nor_snapshot() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let refused = Fault::status(403).on("launchVm").after(1);
    world.server.faults().add(refused).unwrap();
    let error = vm.fork(3).all_or_nothing().await.unwrap_err();
    assert!(error.is_forbidden(), "{error}");
    assert_eq!(vms(&world).await, 1);
    assert_eq!(snapshots(&world).await, 0);
}

#[tokio::test]
async fn a_fork_finds_its_snapshot_when_the_answer_is_lost() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let lost = Fault::cut_after_work().on("createSnapshot").times(1);
    world.server.faults().add(lost).unwrap();
    let copies = vm.fork(1).all_or_nothing().await.unwrap();
    assert_eq!(copies.len(), 1);
    assert_eq!(snapshots(&world).await, 0);
}

#[tokio::test]
async fn a_fork_that_is_dropped_leaves_neither_copies_nor_snapshot() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let slow = Fault::slow_boot(LONG).on("launchVm").after(1);
    world.server.faults().add(slow).unwrap();
    let forking = tokio::spawn(vm.fork(2).into_future());
    vms_are(&world, 3).await;
    forking.abort();
    vms_are(&world, 1).await;
    eventually(async || snapshots(&world).await == 0).await;
}

#[tokio::test]
async fn a_fork_that_is_dropped_while_its_snapshot_is_made_leaves_none() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let creating = count(&world, "createSnapshot");
    let deleting = count(&world, "deleteSnapshot");
    let slow = Fault::delay(Duration::from_millis(200)).on("createSnapshot");
    world.server.faults().add(slow).unwrap();
    let forking = tokio::spawn(vm.fork(2).into_future());
    fired(&world, creating).await;
    forking.abort();
    fired(&world, deleting).await;
    eventually(async || snapshots(&world).await == 0).await;
    assert_eq!(vms(&world).await, 1);
}

#[tokio::test]
async fn a_fork_of_a_vm_that_is_gone_says_so() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    vm.delete().await.unwrap();
    let error = vm.fork(2).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test]
async fn a_sweep_deletes_what_matches_all_that_is_set_and_nothing_else() {
    let world = World::start().await;
    let launch = world.client.vms().launch("c1m2");
    for (name, label) in [("ci-1", "ci"), ("ci-2", "ci"), ("ci-3", "dev"), ("x", "ci")] {
        let launch = launch.clone().name(name).metadata("job", label);
        launch.await.unwrap();
    }
    let sweep = world.client.vms().sweep();
    let sweep = sweep.metadata("job", "ci").name_prefix("ci-");
    let would = sweep.clone().dry_run(true).await.unwrap();
    assert_eq!(would.deleted.len(), 2);
    assert_eq!(vms(&world).await, 4);
    let idle = sweep.clone().status("paused").await.unwrap();
    assert!(idle.deleted.is_empty() && idle.failed.is_empty());

    let swept = sweep.status("running").await.unwrap();
    let mut names: Vec<&str> = swept.deleted.iter().map(|vm| vm.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ci-1", "ci-2"]);
    assert!(swept.failed.is_empty());
    assert_eq!(vms(&world).await, 2);
}

#[tokio::test]
async fn a_sweep_without_a_filter_is_refused_before_anything_is_sent() {
    let world = World::start().await;
    let lists = count(&world, "listVms");
    let sweep = world.client.vms().sweep();
    for sweep in [
        sweep.clone(),
        sweep.clone().name_prefix(""),
        sweep.clone().older_than(LONG),
        sweep.dry_run(true),
    ] {
        assert!(sweep.await.unwrap_err().is_invalid_input());
    }
    assert_eq!(world.server.faults().fired(lists), 0);
}

#[tokio::test]
async fn a_sweep_leaves_what_is_young_by_the_clock_of_the_service() {
    let world = World::start().await;
    named(&world, &["a"]).await;
    let sweep = world.client.vms().sweep().name_prefix("a");
    let young = sweep.clone().older_than(LONG).await.unwrap();
    assert!(young.deleted.is_empty());
    let listed = r#"[{"id":"vm-1","name":"a","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"createdAt":"2026-01-01T00:00:00Z","status":"running"}]"#;
    let reply = |date| Reply::json(200, listed).header("date", date);
    for (date, is_old) in [
        ("Thu, 01 Jan 2026 00:00:30 GMT", false),
        ("Thu, 01 Jan 2026 00:02:00 GMT", true),
    ] {
        let stub = Stub::start([reply(date)]).await;
        let sweep = client(stub.base_url(), "k")
            .vms()
            .sweep()
            .name_prefix("a")
            .older_than(LONG);
        let swept = sweep.dry_run(true).await.unwrap();
        assert_eq!(swept.deleted.len() == 1, is_old, "{date}");
    }
}

#[tokio::test]
async fn a_sweep_tells_what_it_could_not_delete_and_deletes_the_rest() {
    let world = World::start().await;
    let vms = named(&world, &["a1", "a2", "a3"]).await;
    let refused = Fault::status(403).on("deleteVm").vm(&vms[1].id);
    world.server.faults().add(refused).unwrap();
    let swept = world.client.vms().sweep().name_prefix("a").await.unwrap();
    assert_eq!(swept.deleted.len(), 2);
    let [(vm, error)] = &swept.failed[..] else {
        panic!("{swept:?}");
    };
    assert_eq!(vm.id, vms[1].id);
    assert!(error.is_forbidden());
}

#[tokio::test]
async fn a_sweep_trusts_no_service_that_knows_no_filter() {
    let all = r#"[{"id":"vm-1","name":"a","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"createdAt":"2026-01-01T00:00:00Z","status":"running","metadata":{"job":"other"}}]"#;
    let stub = Stub::start([Reply::json(200, all)]).await;
    let swept = client(stub.base_url(), "k")
        .vms()
        .sweep()
        .metadata("job", "ci")
        .await
        .unwrap();
    assert!(swept.deleted.is_empty());
    assert_eq!(stub.requests().len(), 1);
}
