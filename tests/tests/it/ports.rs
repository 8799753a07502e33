//! Ports of VMs: published, and waited for.
//!
//! VMs of the local server share the network of the machine, so what listens here listens there.

use std::error::Error as _;
use std::time::Duration;

use fastvm::{Client, ErrorKind, Outcome, Vm};
use fastvm_local::Fault;
use fastvm_tests::{Reply, Stub, World};
use tokio::net::TcpListener;

use crate::launch::{count, eventually};

const SHORT: Duration = Duration::from_millis(300);

async fn launched(world: &World) -> Vm {
    world.client.vms().launch("c1m2").await.unwrap()
}

fn port_of(stub: &Stub) -> u16 {
    let (_, port) = stub.base_url().rsplit_once(':').unwrap();
    port.parse().unwrap()
}

/// A port that nothing listens on.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_published_port_answers_at_the_host_of_its_service_and_sees_no_key() {
    let world = World::start().await;
    let vm = launched(&world).await;
    let program = Stub::start([Reply::json(200, "{}")]).await;
    let url = vm.expose("web", port_of(&program)).await.unwrap();
    assert_eq!(url, vm.url("web").unwrap());
    vm.wait_for_http("web", "/health?deep=1").await.unwrap();

    let seen = program.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line, "GET /health?deep=1");
    let host = format!(
        "web--{}.proxy.localhost:{}",
        vm.id.replace('-', ""),
        world.server.address().port()
    );
    assert_eq!(url, format!("http://{host}"));
    assert_eq!(seen[0].header("host"), Some(host.as_str()));
    assert_eq!(seen[0].header("x-api-key"), None);
}

#[tokio::test]
async fn a_service_can_be_published_again_and_moved() {
    let world = World::start().await;
    let vm = launched(&world).await;
    for port in [8080, 8080, 8081] {
        vm.expose("web", port).await.unwrap();
    }
    vm.expose("grpc", 9090).h2c(true).await.unwrap();
    let services = vm.services().list().await.unwrap();
    let services: Vec<_> = services
        .iter()
        .map(|service| (service.name.as_str(), service.port, service.h2c))
        .collect();
    assert_eq!(services, [("grpc", 9090, true), ("web", 8081, false)]);
}

#[tokio::test]
async fn publishing_outlasts_a_passing_fault() {
    let world = World::start().await;
    let vm = launched(&world).await;
    let faults = world.server.faults();
    faults
        .add(Fault::cut().on("updateService").times(1))
        .unwrap();
    vm.expose("web", 8080).await.unwrap();
    assert_eq!(vm.services().list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn names_and_ports_that_no_service_can_have_are_refused_before_anything_is_sent() {
    let world = World::start().await;
    let vm = launched(&world).await;
    let updates = count(&world, "updateService");
    let too_long = "a".repeat(30);
    for name in ["", "Web", "a--b", "-a", "a.b", "ä", too_long.as_str()] {
        let error = vm.expose(name, 8080).await.unwrap_err();
        assert!(error.is_invalid_input(), "{name}: {error}");
        assert!(vm.url(name).unwrap_err().is_invalid_input(), "{name}");
        let wait = vm.wait_for_http(name, "/").await;
        assert!(wait.unwrap_err().is_invalid_input(), "{name}");
    }
    let error = vm.expose("web", 80).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert!(error.to_string().contains("1024"), "{error}");
    assert_eq!(world.server.faults().fired(updates), 0);
}

#[tokio::test]
async fn a_domain_of_ones_own_is_that_of_services() {
    let world = World::start().await;
    let builder = || {
        Client::builder()
            .api_key(world.server.api_key())
            .base_url(world.server.base_url())
    };
    let client = builder().proxy_domain("vms.test").build().unwrap();
    let vm = client.vms().launch("c1m2").await.unwrap();
    let expected = format!("http://web--{}.proxy.vms.test", vm.id.replace('-', ""));
    assert_eq!(vm.url("web").unwrap(), expected);
    let error = builder().proxy_domain("https://x").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_port_is_waited_for_until_something_listens_on_it() {
    let world = World::start().await;
    let vm = launched(&world).await;
    let polls = count(&world, "execVm");
    let port = free_port().await;
    let waiting = tokio::spawn(vm.wait_for_port(port).into_future());
    eventually(async || world.server.faults().fired(polls) > 1).await;
    assert!(!waiting.is_finished());
    let _listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_port_of_either_ip_version_counts_and_a_connection_does_not() {
    let world = World::start().await;
    let vm = launched(&world).await;
    if let Ok(listener) = TcpListener::bind("[::1]:0").await {
        let port = listener.local_addr().unwrap().port();
        vm.wait_for_port(port).await.unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
    let client = client.await.unwrap();
    let port = client.local_addr().unwrap().port();
    let error = vm.wait_for_port(port).timeout(SHORT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
}

#[tokio::test]
async fn a_port_that_nothing_listens_on_is_named_when_time_is_over() {
    let world = World::start().await;
    let vm = launched(&world).await;
    let port = free_port().await;
    let error = vm.wait_for_port(port).timeout(SHORT).await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(error.vm_id(), Some(vm.id.as_str()));
    assert!(
        error.to_string().contains(&format!("port {port} ")),
        "{error}"
    );
    assert!(vm.wait_for_port(0).await.unwrap_err().is_invalid_input());
}

#[tokio::test]
async fn a_wait_for_a_port_outlasts_passing_faults_but_not_its_vm() {
    let world = World::start().await;
    let vm = launched(&world).await;
    let faults = world.server.faults();
    for fault in [Fault::status(502), Fault::cut(), Fault::status(429)] {
        faults.add(fault.on("execVm").times(1)).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    vm.wait_for_port(port).await.unwrap();
    vm.delete().await.unwrap();
    assert!(vm.wait_for_port(port).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_service_is_waited_for_until_it_answers_with_success() {
    let world = World::start().await;
    let vm = launched(&world).await;
    let not_yet = Reply::json(503, "{}");
    let to_login = Reply::json(302, "").header("location", "http://elsewhere.test/");
    let program = Stub::start([not_yet.clone(), Reply::Close, not_yet, to_login]).await;
    vm.expose("web", port_of(&program)).await.unwrap();
    vm.wait_for_http("web", "/").await.unwrap();
    assert_eq!(program.requests().len(), 4);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_named_with_its_last_answer() {
    let world = World::start().await;
    let vm = launched(&world).await;
    vm.expose("web", free_port().await).await.unwrap();
    let wait = vm.wait_for_http("web", "/health?token=hunter2");
    let error = wait.timeout(SHORT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    let said = format!("{error:?}");
    assert!(
        said.contains("\"web\"") && said.contains("/health"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("502"), "{cause}");
}

#[tokio::test]
async fn a_service_that_was_never_published_is_not_waited_for() {
    let world = World::start().await;
    let vm = launched(&world).await;
    let error = vm.wait_for_http("web", "/").await.unwrap_err();
    assert!(error.is_not_found());
    assert!(error.to_string().contains("vm.expose"), "{error}");
    vm.expose("web", 8080).await.unwrap();
    for path in ["", "health", "http://elsewhere.test/"] {
        let error = vm.wait_for_http("web", path).await.unwrap_err();
        assert!(error.is_invalid_input(), "{path}");
    }
}

#[tokio::test]
async fn a_wait_for_a_service_ends_with_its_vm() {
    let world = World::start().await;
    let client = Client::builder()
        .api_key(world.server.api_key())
        .base_url(world.server.base_url())
        .idle_check(Duration::from_millis(50));
    let client = client.build().unwrap();
    let vm = client.vms().launch("c1m2").await.unwrap();
    let program = Stub::start([Reply::json(503, "{}")]).await;
    vm.expose("web", port_of(&program)).await.unwrap();
    let waiting = tokio::spawn(vm.wait_for_http("web", "/").into_future());
    eventually(async || program.requests().len() > 1).await;
    vm.delete().await.unwrap();
    assert!(waiting.await.unwrap().unwrap_err().is_gone());
}
