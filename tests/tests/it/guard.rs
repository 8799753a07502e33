//! VMs that end with a scope.

use std::time::Duration;

use fastvm::{Client, Result, VmGuard};
use fastvm_local::Fault;
use fastvm_tests::{World, client};

use crate::launch::{count, vms, vms_are};

async fn guarded(client: &Client) -> VmGuard {
    client.vms().launch("c1m2").await.unwrap().into_guard()
}

#[tokio::test]
async fn closing_a_guard_deletes_the_vm_before_it_answers() {
    let world = World::start().await;
    let vm = guarded(&world.client).await;
    assert_eq!(vm.run("echo in").await.unwrap().stdout, "in\n");
    vm.close().await.unwrap();
    assert_eq!(vms(&world).await, 0);
}

#[tokio::test]
async fn closing_the_guard_of_a_vm_that_is_gone_succeeds() {
    let world = World::start().await;
    let vm = guarded(&world.client).await;
    vm.delete().await.unwrap();
    vm.close().await.unwrap();
}

#[tokio::test]
async fn closing_a_guard_says_when_the_vm_could_not_be_deleted() {
    let world = World::start().await;
    let vm = guarded(&world.client).await;
    let refused = Fault::status(403).on("deleteVm").times(1);
    world.server.faults().add(refused).unwrap();
    let id = vm.id.clone();
    let error = vm.close().await.unwrap_err();
    assert!(error.is_forbidden());
    assert_eq!(error.vm_id(), Some(id.as_str()));
    assert_eq!(vms(&world).await, 1);
}

#[tokio::test]
async fn closing_a_guard_outlasts_passing_faults() {
    let world = World::start().await;
    let vm = guarded(&world.client).await;
    let faults = world.server.faults();
    for fault in [Fault::status(503), Fault::cut(), Fault::status(409)] {
        faults.add(fault.on("deleteVm").times(1)).unwrap();
    }
    vm.close().await.unwrap();
    assert_eq!(vms(&world).await, 0);
}

#[tokio::test]
async fn a_close_that_is_dropped_goes_on() {
    let world = World::start().await;
    let vm = guarded(&world.client).await;
    let deletions = count(&world, "deleteVm");
    let fault = Fault::status(503).on("deleteVm").times(2);
    world.server.faults().add(fault).unwrap();
    let close = tokio::spawn(vm.close());
    crate::launch::fired(&world, deletions).await;
    close.abort();
    vms_are(&world, 0).await;
}

#[tokio::test]
async fn an_error_or_panic_in_the_scope_of_a_guard_deletes_the_vm() {
    async fn fails(client: Client) -> Result<()> {
        let vm = guarded(&client).await;
        vm.run("exit 1").await?.ensure_success()?;
        vm.close().await
    }
    async fn panics(client: Client) {
        let _vm = guarded(&client).await;
        panic!("on purpose");
    }
    let world = World::start().await;
    fails(world.client.clone()).await.unwrap_err();
    vms_are(&world, 0).await;
    let panicked = tokio::spawn(panics(world.client.clone())).await;
    assert!(panicked.unwrap_err().is_panic());
    vms_are(&world, 0).await;
}

#[tokio::test]
async fn a_guard_that_is_dropped_on_a_thread_without_a_runtime_deletes_the_vm() {
    let world = World::start().await;
    let vm = guarded(&world.client).await;
    std::thread::spawn(move || drop(vm)).join().unwrap();
    vms_are(&world, 0).await;
}

#[tokio::test]
async fn a_guard_that_is_given_up_keeps_the_vm() {
    let world = World::start().await;
    let deletions = count(&world, "deleteVm");
    let vm = guarded(&world.client).await.keep();
    assert_eq!(vm.run("echo on").await.unwrap().stdout, "on\n");
    drop(vm);
    assert_eq!(vms(&world).await, 1);
    assert_eq!(world.server.faults().fired(deletions), 0);
}

/// What a program does whose `main` this is: its runtime ends right after.
fn main_of_another_program<F>(main: impl FnOnce(Client) -> F + Send + 'static, world: &World)
where
    F: Future<Output = ()>,
{
    let (url, key) = (
        world.server.base_url().to_owned(),
        world.server.api_key().to_owned(),
    );
    let program = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(main(client(&url, &key)));
    });
    program.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_that_is_dropped_right_before_the_runtime_ends_deletes_the_vm() {
    let world = World::start().await;
    let scope = |client: Client| async move {
        let vm = guarded(&client).await;
        vm.run("true").await.unwrap();
    };
    main_of_another_program(scope, &world);
    assert_eq!(vms(&world).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_ends_while_a_launch_is_under_way_leaves_no_vm() {
    let world = World::start().await;
    let launches = count(&world, "launchVm");
    let lost = Fault::cut_after_work().on("launchVm");
    let faults = world.server.faults();
    faults.add(lost).unwrap();
    faults
        .add(
            Fault::delay(Duration::from_millis(300))
                .on("listVms")
                .times(1),
        )
        .unwrap();
    let scope = |client: Client| async move {
        let launch = client.vms().launch("c1m2").into_future();
        tokio::time::timeout(Duration::from_millis(200), launch)
            .await
            .unwrap_err();
    };
    main_of_another_program(scope, &world);
    assert_eq!(vms(&world).await, 0);
    assert_eq!(faults.fired(launches), 1);
}
