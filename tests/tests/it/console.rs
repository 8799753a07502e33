//! Consoles of VMs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fastvm::{Client, Console, ErrorKind, Vm};
use fastvm_local::Fault;
use fastvm_tests::{Reply, Stub, Trouble, Way, World, client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::calls::VM;
use crate::launch::count;

const PATIENCE: Duration = Duration::from_secs(10);

async fn launched(client: &Client) -> Vm {
    client.vms().launch("c1m2").await.unwrap()
}

/// Reads until this text is shown, or why it never will be.
async fn shows(console: &mut Console, text: &str) -> io::Result<String> {
    let mut shown = Vec::new();
    let reading = async {
        let mut buffer = [0; 1024];
        loop {
            let length = console.read(&mut buffer).await?;
            if length == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            shown.extend_from_slice(&buffer[..length]);
            if String::from_utf8_lossy(&shown).contains(text) {
                return Ok(());
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("it is shown")?;
    Ok(String::from_utf8_lossy(&shown).into_owned())
}

/// The inner error of one of a console.
fn inner(error: &io::Error) -> &fastvm::Error {
    let inner = error.get_ref().expect("there is one");
    inner.downcast_ref().expect("it is one of the crate")
}

#[tokio::test]
async fn a_console_types_what_is_written_and_ends_with_its_shell() {
    let world = World::start().await;
    let vm = launched(&world.client).await;
    let mut console = vm.console().await.unwrap();
    console
        .write_all("echo {a,ä}-$((6*7)); stty size\r".as_bytes())
        .await
        .unwrap();
    shows(&mut console, "24 80").await.unwrap();
    console
        .write_all(b"echo {o}$((1+1)); exit\r")
        .await
        .unwrap();
    let mut rest = String::new();
    let reading = console.read_to_string(&mut rest);
    timeout(PATIENCE, reading).await.unwrap().unwrap();
    assert!(rest.contains("{o}2"), "{rest}");
    assert_eq!(console.read(&mut [0; 8]).await.unwrap(), 0);
    let error = console.write_all(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_console_has_the_size_it_is_told() {
    let world = World::start().await;
    let vm = launched(&world.client).await;
    let mut console = vm.console().size(132, 43).await.unwrap();
    console.write_all(b"stty size\r").await.unwrap();
    shows(&mut console, "43 132").await.unwrap();
    console.resize(100, 30).await.unwrap();
    console.write_all(b"stty size\r").await.unwrap();
    shows(&mut console, "30 100").await.unwrap();
}

#[tokio::test]
async fn what_looks_like_a_control_is_typed_when_it_is_written() {
    let world = World::start().await;
    let vm = launched(&world.client).await;
    let mut console = vm.console().await.unwrap();
    let control = br#"{"type":"resize","cols":9,"rows":9}"#;
    // In quotes, so that the echo of the line is not taken for what it says.
    let line = b"stty -echo; echo 're'ady; exec cat\r";
    console.write_all(line).await.unwrap();
    shows(&mut console, "ready").await.unwrap();
    console.write_all(control).await.unwrap();
    console.write_all(b"\r").await.unwrap();
    let control = std::str::from_utf8(control).unwrap();
    shows(&mut console, control).await.unwrap();
}

/// Speaks TLS with a certificate of its own, and passes on to this address. Answers its URL and the
/// certificate.
async fn behind_tls(upstream: SocketAddr) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Ends when either side does, in whatever way.
                if let Ok(mut client) = acceptor.accept(socket).await {
                    let mut server = TcpStream::connect(upstream).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    (format!("https://localhost:{port}"), made.cert.pem())
}

#[tokio::test]
async fn a_console_goes_over_tls_with_a_certificate_of_ones_own_like_all_else() {
    let world = World::start().await;
    let (url, certificate) = behind_tls(world.server.address()).await;
    let trusting = |builder: fastvm::ClientBuilder| {
        let builder = builder.api_key(world.server.api_key()).base_url(&url);
        builder
            .root_certificate(certificate.clone())
            .build()
            .unwrap()
    };
    let client = trusting(Client::builder());
    let vm = launched(&client).await;
    let streamed = vm.stream("echo streamed").await.unwrap().output().await;
    assert_eq!(streamed.unwrap().stdout, b"streamed\n");
    let mut console = vm.console().size(132, 43).await.unwrap();
    console.write_all(b"stty size; exit\r").await.unwrap();
    let mut shown = String::new();
    let reading = console.read_to_string(&mut shown);
    timeout(PATIENCE, reading).await.unwrap().unwrap();
    assert!(shown.contains("43 132"), "{shown}");
    // Who does not trust the certificate gets no console, and shows nobody the token.
    let stranger = Client::builder().api_key(world.server.api_key());
    let stranger = stranger.base_url(&url).max_retries(0).build().unwrap();
    let error = stranger.vms().handle((**vm).clone()).console().await;
    let error = error.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert!(format!("{error:?}").contains("certificate"), "{error:?}");
}

#[tokio::test]
async fn shutting_a_console_down_hangs_up() {
    let world = World::start().await;
    let vm = launched(&world.client).await;
    let mut console = vm.console().await.unwrap();
    console.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let reading = console.read_to_end(&mut rest);
    timeout(PATIENCE, reading).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_console_that_is_cut_off_is_an_error_and_no_end() {
    let (world, proxy) = World::behind_proxy().await;
    let client = client(&proxy.base_url(), world.server.api_key());
    let vm = launched(&client).await;
    for trouble in [Trouble::Reset, Trouble::Close] {
        let fault = trouble.of(Way::ToClient).when("/console?session=");
        proxy.add(fault.after(2000).once());
        let mut console = vm.console().await.unwrap();
        console.write_all(b"seq 9999; sleep 60\r").await.unwrap();
        let error = shows(&mut console, "\n9999").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let error = inner(&error);
        assert_eq!(error.kind(), ErrorKind::Connection);
        assert_eq!(error.vm_id(), Some(vm.id.as_str()));
    }
}

#[tokio::test]
async fn a_console_whose_vm_is_deleted_is_an_error_that_says_so() {
    let world = World::start().await;
    let vm = launched(&world.client).await;
    let mut console = vm.console().await.unwrap();
    vm.delete().await.unwrap();
    let error = shows(&mut console, "never shown").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    let said = inner(&error).to_string();
    assert!(said.contains("the VM has ended"), "{said}");
}

#[tokio::test]
async fn a_console_of_a_vm_that_does_not_run_is_refused() {
    let world = World::start().await;
    let vm = launched(&world.client).await;
    let vm = vm.pause().await.unwrap();
    assert!(vm.console().await.unwrap_err().is_conflict());
    vm.delete().await.unwrap();
    assert!(vm.console().await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_size_without_columns_or_rows_is_refused_before_anything_is_sent() {
    let world = World::start().await;
    let vm = launched(&world.client).await;
    let tokens = count(&world, "createConsoleToken");
    for (cols, rows) in [(0, 24), (80, 0)] {
        let error = vm.console().size(cols, rows).await.unwrap_err();
        assert!(error.is_invalid_input());
    }
    assert_eq!(world.server.faults().fired(tokens), 0);
    let mut console = vm.console().await.unwrap();
    assert!(console.resize(0, 0).await.unwrap_err().is_invalid_input());
}

#[tokio::test]
async fn a_console_of_a_vm_that_is_gone_is_not_found() {
    let world = World::start().await;
    let vm = launched(&world.client).await;
    vm.delete().await.unwrap();
    let error = vm.console().await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.vm_id(), Some(vm.id.as_str()));
}

#[tokio::test]
async fn a_console_outlasts_a_passing_fault_of_its_token() {
    let world = World::start().await;
    let vm = launched(&world.client).await;
    let fault = Fault::status(503).on("createConsoleToken").times(1);
    world.server.faults().add(fault).unwrap();
    let mut console = vm.console().await.unwrap();
    console.write_all(b"echo $((6*7))\r").await.unwrap();
    shows(&mut console, "42").await.unwrap();
}

#[tokio::test]
async fn the_token_of_a_console_is_in_no_error() {
    const TOKEN: &str = "hunter2-token";
    for socket in [
        Reply::json(403, &format!(r#"{{"error":"no {TOKEN} here"}}"#)),
        Reply::json(200, "{}"),
        Reply::html(502),
        Reply::Close,
        Reply::json(101, ""),
    ] {
        let stub = Stub::answering(move |request| {
            if request.line.starts_with("GET /socket") {
                return socket.clone();
            }
            if request.line.ends_with("/console-token") {
                let answer = serde_json::json!({
                    "token": TOKEN, "expiresInSec": 60, "websocketPath": "/socket",
                });
                return Reply::json(200, &answer.to_string());
            }
            Reply::json(200, VM)
        })
        .await;
        let client = client(stub.base_url(), "key-of-the-api");
        let vm = client.vms().retrieve("vm-1").await.unwrap();
        let error = vm.console().await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!said.contains(TOKEN), "{said}");
        let requests = stub.requests();
        let socket = requests.last().unwrap();
        assert_eq!(socket.line, format!("GET /socket?session={TOKEN}"));
        assert_eq!(socket.header("x-api-key"), None);
    }
}
