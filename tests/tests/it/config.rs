//! The configuration: what each setting does, and what none can undo.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastvm::{CallInfo, Client, ErrorKind, ExecEvent, RetryPolicy, Sending, Transport};
use fastvm_tests::{Reply, Stub, World, client};
use futures_util::TryStreamExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::calls::{CHILD, OUTPUT, VM, in_a_process};

fn builder(stub: &Stub) -> fastvm::ClientBuilder {
    Client::builder().api_key("k").base_url(stub.base_url())
}

/// One that repeats at once.
fn quick(max_retries: u32, budget: u32) -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    policy.max_retries = max_retries;
    policy.first_backoff = Duration::from_millis(1);
    policy.longest_backoff = Duration::from_millis(2);
    policy.budget = budget;
    policy
}

// Retries

#[tokio::test]
async fn a_retry_policy_sets_number_pauses_and_the_longest_wait_to_be_asked_for() {
    let stub = Stub::start([Reply::json(503, "{}")]).await;
    let client = builder(&stub).retry(quick(7, 100)).build().unwrap();
    let start = Instant::now();
    let error = client.vms().list().await.unwrap_err();
    assert_eq!((error.attempts(), stub.requests().len()), (8, 8));
    // The default pauses would be up to 8 s.
    assert!(start.elapsed() < Duration::from_secs(2));

    let stub = Stub::start([Reply::json(429, "{}").header("retry-after", "2")]).await;
    let mut policy = quick(7, 100);
    policy.longest_retry_after = Duration::from_secs(1);
    let client = builder(&stub).retry(policy).build().unwrap();
    let error = client.vms().list().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
    assert_eq!(stub.requests().len(), 1);
}

#[tokio::test]
async fn an_outage_spends_the_budget_for_repeats_once_and_successes_refill_it() {
    let is_down = Arc::new(AtomicUsize::new(1));
    let switch = is_down.clone();
    let stub = Stub::answering(move |_| match switch.load(Ordering::SeqCst) {
        0 => Reply::json(200, "[]"),
        _ => Reply::json(503, "{}"),
    })
    .await;
    let client = builder(&stub).retry(quick(5, 10)).build().unwrap();
    let storm = (0..100).map(|_| client.vms().list().into_future());
    let answers = futures_util::future::join_all(storm).await;
    assert!(answers.iter().all(Result::is_err));
    // Each of the calls once, and what the budget has for all of them.
    assert_eq!(stub.requests().len(), 100 + 10);

    is_down.store(0, Ordering::SeqCst);
    for _ in 0..15 {
        client.vms().list().await.unwrap();
    }
    is_down.store(1, Ordering::SeqCst);
    let error = client.vms().list().max_retries(9).await.unwrap_err();
    assert_eq!(error.attempts(), 1 + 3, "five successes are worth a repeat");

    is_down.store(0, Ordering::SeqCst);
    for _ in 0..100 {
        client.vms().list().await.unwrap();
    }
    is_down.store(1, Ordering::SeqCst);
    let error = client.vms().list().max_retries(99).await.unwrap_err();
    assert_eq!(error.attempts(), 1 + 10, "it is never more than full");
}

// What the service sees

#[tokio::test]
async fn a_user_agent_suffix_stands_after_the_name_of_the_crate() {
    let stub = Stub::start([Reply::json(200, "[]")]).await;
    let client = builder(&stub).user_agent_suffix(" my-app/1.0 ").build();
    client.unwrap().vms().list().await.unwrap();
    let ours = concat!("fastvm-rust/", env!("CARGO_PKG_VERSION"), " my-app/1.0");
    assert_eq!(stub.requests()[0].header("user-agent"), Some(ours));
    let error = builder(&stub).user_agent_suffix("a\nb").build();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn the_environment_fills_in_what_it_has_and_keeps_the_rest() {
    if std::env::var_os(CHILD).is_some() {
        let builder = Client::builder().api_key("code").base_url("http://code");
        let client = builder.env().build().unwrap();
        println!("at {}", client.base_url());
        return;
    }
    let test = "config::the_environment_fills_in_what_it_has_and_keeps_the_rest";
    let printed = in_a_process(test, &[("FASTVM_BASE_URL", " ")]).await;
    assert!(printed.contains("at http://code"), "{printed}");
    let printed = in_a_process(test, &[("FASTVM_BASE_URL", "http://env")]).await;
    assert!(printed.contains("at http://env"), "{printed}");
}

// Proxies

#[tokio::test]
async fn a_given_proxy_carries_every_call_and_its_login_is_shown_to_it_alone() {
    let stub = Stub::start([Reply::json(200, "[]")]).await;
    let proxy = stub.base_url().replace("http://", "http://user:pass@");
    let behind = |url: &str| {
        let builder = Client::builder().api_key("k").base_url(url);
        builder.proxy(&proxy).build().unwrap()
    };
    let far = behind("http://fastvm.test");
    far.vms().list().await.unwrap();
    far.vms().stream("v", "true").await.unwrap();
    behind("http://127.0.0.1:9").vms().list().await.unwrap();
    let seen = stub.requests();
    let lines: Vec<_> = seen.iter().map(|request| request.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "GET http://fastvm.test/v1/vms",
            "POST http://fastvm.test/v1/vms/v/exec",
            "GET http://127.0.0.1:9/v1/vms"
        ]
    );
    for request in seen {
        let login = request.header("proxy-authorization");
        assert_eq!(login, Some("Basic dXNlcjpwYXNz"));
    }
}

#[tokio::test]
async fn a_proxy_of_the_environment_can_be_turned_off() {
    if std::env::var_os(CHILD).is_some() {
        let url = std::env::var("FASTVM_BASE_URL").unwrap();
        let port = url.rsplit_once(':').unwrap().1.parse().unwrap();
        let here = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let builder = Client::builder()
            .api_key("k")
            .base_url(format!("http://fastvm.test:{port}"))
            .http(move |http| http.resolve("fastvm.test", here));
        builder
            .no_proxy()
            .build()
            .unwrap()
            .vms()
            .list()
            .await
            .unwrap();
        return;
    }
    let stub = Stub::start([Reply::json(200, "[]")]).await;
    let proxy = Stub::start([Reply::json(200, "[]")]).await;
    let variables = [
        ("FASTVM_BASE_URL", stub.base_url()),
        ("HTTP_PROXY", proxy.base_url()),
        ("http_proxy", proxy.base_url()),
        ("ALL_PROXY", proxy.base_url()),
    ];
    let test = "config::a_proxy_of_the_environment_can_be_turned_off";
    in_a_process(test, &variables).await;
    assert_eq!((stub.requests().len(), proxy.requests().len()), (1, 0));
}

#[test]
fn what_is_no_proxy_is_refused_without_showing_it() {
    for proxy in [
        "",
        "hunter2",
        "user:hunter2@host",
        "http://user:hunter2@:3128",
    ] {
        let error = Client::builder().api_key("k").proxy(proxy).build();
        let error = error.expect_err(proxy);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("proxy"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

// Certificates and versions

/// A service with a certificate that no system knows. Answers each connection, and says which
/// protocol it agreed on.
struct Private {
    url: String,
    certificate: rcgen::Certificate,
    protocols: Arc<Mutex<Vec<String>>>,
}

impl Private {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "https://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        let protocols = Arc::new(Mutex::new(Vec::new()));
        let log = protocols.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(socket) = acceptor.accept(socket).await else {
                    continue;
                };
                let agreed = socket.get_ref().1.alpn_protocol().unwrap_or_default();
                let agreed = String::from_utf8_lossy(agreed).into_owned();
                // The connection ends here: what the client makes of it does not matter.
                log.lock().unwrap().push(agreed);
            }
        });
        Self {
            url,
            certificate: made.cert,
            protocols,
        }
    }

    fn builder(&self) -> fastvm::ClientBuilder {
        let builder = Client::builder().api_key("k").base_url(&self.url);
        // Each connection is one that a test made.
        builder.max_retries(0).idle_check(None)
    }

    fn agreed(&self) -> Vec<String> {
        std::mem::take(&mut self.protocols.lock().unwrap())
    }
}

#[tokio::test]
async fn a_service_with_a_certificate_of_its_own_is_reached_once_that_is_trusted() {
    let service = Private::start().await;
    let stranger = service.builder().build().unwrap();
    let error = stranger.vms().list().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert!(format!("{error:?}").contains("certificate"), "{error:?}");
    assert!(service.agreed().is_empty());

    let other = Private::start().await.certificate.pem();
    let ours = service.certificate.pem();
    for certificate in [
        ours.clone().into_bytes(),
        service.certificate.der().to_vec(),
        format!("\n{other}{ours}").into_bytes(),
    ] {
        let trusting = service.builder().root_certificate(certificate).build();
        trusting.unwrap().vms().list().await.unwrap_err();
        assert_eq!(service.agreed().len(), 1);
    }
    let both = service.builder().root_certificate(other);
    let both = both.root_certificate(ours).build().unwrap();
    both.vms().stream("v", "true").await.unwrap_err();
    assert_eq!(service.agreed().len(), 1);
}

#[test]
fn what_is_no_certificate_is_refused() {
    for bytes in [
        "",
        "no",
        "-----BEGIN CERTIFICATE-----\n!\n",
        "-----BEGIN X-----\n",
    ] {
        let error = Client::builder().api_key("k").root_certificate(bytes);
        let error = error.build().expect_err(bytes);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn the_process_keeps_the_choice_of_its_cryptography() {
    if std::env::var_os(CHILD).is_none() {
        let test = "config::the_process_keeps_the_choice_of_its_cryptography";
        in_a_process(test, &[]).await;
        return;
    }
    let build = || Client::builder().api_key("k").build();
    build().unwrap();
    assert!(CryptoProvider::get_default().is_none());
    // Without a cipher there is no TLS: it shows whose provider is taken.
    let mut own = ring::default_provider();
    own.cipher_suites.clear();
    own.install_default().unwrap();
    assert_eq!(build().unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn calls_speak_http_2_unless_told_otherwise_and_streams_never_do() {
    let service = Private::start().await;
    let trusting = || {
        service
            .builder()
            .root_certificate(service.certificate.pem())
    };
    let clients = [
        (trusting(), "h2"),
        (trusting().http1_only(true), "http/1.1"),
        (trusting().http(|http| http.http1_only()), "http/1.1"),
        (trusting().http(|http| http.http2_prior_knowledge()), "h2"),
    ];
    for (builder, expected) in clients {
        let client = builder.build().unwrap();
        client.vms().list().await.unwrap_err();
        assert_eq!(service.agreed(), [expected]);
        client.vms().stream("v", "true").await.unwrap_err();
        assert_eq!(service.agreed(), ["http/1.1"]);
    }
}

// The hook

#[tokio::test]
async fn a_hook_sets_up_the_connections_of_calls_and_streams() {
    let stub = Stub::start([Reply::json(200, "[]")]).await;
    let port = stub.base_url().rsplit_once(':').unwrap().1;
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    let client = Client::builder()
        .api_key("k")
        .base_url(format!("http://fastvm.test:{port}"))
        .http(move |http| http.no_proxy().resolve("fastvm.test", here))
        .build()
        .unwrap();
    client.vms().list().await.unwrap();
    client.vms().stream("v", "true").await.unwrap();
    assert_eq!(stub.requests().len(), 2);
}

#[tokio::test]
async fn a_hook_cannot_have_redirects_followed_or_the_key_carried_elsewhere() {
    let other = Stub::start([Reply::json(200, "[]")]).await;
    let target = format!("{}/v1/vms", other.base_url());
    let stub = Stub::start([Reply::json(307, "{}").header("location", &target)]).await;
    let follows = |http: reqwest::ClientBuilder| {
        http.redirect(reqwest::redirect::Policy::limited(5))
            .user_agent("spoofed")
    };
    let client = builder(&stub).http(follows).build().unwrap();
    let error = client.vms().list().await.unwrap_err();
    assert_eq!(error.status().unwrap(), 307);
    assert!(client.vms().stream("v", "true").await.is_err());
    assert!(other.requests().is_empty());
    let agent = stub.requests()[0].header("user-agent").unwrap().to_owned();
    assert!(agent.starts_with("fastvm-rust/"), "{agent}");
}

#[tokio::test]
async fn a_hook_cannot_cut_a_command_or_have_it_sent_twice() {
    let slow = Reply::After(
        Duration::from_millis(300),
        Box::new(Reply::json(200, OUTPUT)),
    );
    let stub = Stub::start([slow, Reply::json(503, "{}")]).await;
    let client = builder(&stub).http(|http| {
        let again = reqwest::retry::for_host("127.0.0.1").no_budget();
        let again = again.classify_fn(|attempt| match attempt.status() {
            Some(status) if status.is_success() => attempt.success(),
            _ => attempt.retryable(),
        });
        let limit = Duration::from_millis(50);
        http.timeout(limit).read_timeout(limit).retry(again)
    });
    let client = client.build().unwrap();
    assert_eq!(client.vms().run("v", "true").await.unwrap().exit_code, 0);
    assert!(client.vms().run("v", "true").await.is_err());
    assert_eq!(stub.requests().len(), 2);
}

// A transport of the program's own

type Answer = Box<dyn Fn(&reqwest::Request, usize) -> Option<(u16, String)> + Send + Sync>;

/// Answers without a socket; `None` never does.
struct Fake {
    answer: Answer,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn new(
        answer: impl Fn(&reqwest::Request, usize) -> Option<(u16, String)> + Send + Sync + 'static,
    ) -> (Self, Arc<Mutex<Vec<String>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let fake = Self {
            answer: Box::new(answer),
            seen: seen.clone(),
        };
        (fake, seen)
    }
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Transport for Fake {
    fn send<'a>(&'a self, request: reqwest::Request, _: &'a CallInfo) -> Sending<'a> {
        let mut seen = self.seen.lock().unwrap();
        let has_key = request.headers().contains_key("x-api-key");
        let key = if has_key { "key " } else { "" };
        seen.push(format!("{key}{} {}", request.method(), request.url()));
        let answer = (self.answer)(&request, seen.len());
        Box::pin(async move {
            let Some((status, body)) = answer else {
                return std::future::pending().await;
            };
            let answer = http::Response::builder().status(status).body(body);
            Ok(answer.unwrap().into())
        })
    }
}

#[tokio::test]
async fn a_given_transport_needs_no_key_and_no_network_and_calls_on_it_are_repeated() {
    let (fake, seen) = Fake::new(|_, count| match count {
        1 => Some((503, "{}".to_owned())),
        _ => Some((200, "[]".to_owned())),
    });
    let client = Client::builder().transport(fake).retry(quick(2, 9)).build();
    assert!(client.unwrap().vms().list().await.unwrap().is_empty());
    let expected = "GET https://api.fastvm.org/v1/vms";
    assert_eq!(*seen.lock().unwrap(), [expected, expected]);
}

#[tokio::test]
async fn calls_on_a_given_transport_carry_the_key_and_keep_their_time_limit() {
    let (fake, seen) = Fake::new(|_, _| None);
    let client = Client::builder().api_key("k").base_url("http://fake");
    let client = client.transport(fake).max_retries(0).build().unwrap();
    let call = client
        .vms()
        .list()
        .request_timeout(Duration::from_millis(20));
    assert!(call.await.unwrap_err().is_timeout());
    assert_eq!(*seen.lock().unwrap(), ["key GET http://fake/v1/vms"]);
}

#[tokio::test]
async fn overrides_work_on_a_given_transport() {
    let (fake, _) = Fake::new(|request, _| {
        let accept = request.headers().get("accept");
        let is_stream = accept.is_some_and(|accept| accept == "application/x-ndjson");
        let body = match request.url().path() {
            "/v1/vms" => VM.replace("running", "provisioning"),
            "/v1/vms/vm-1" => VM.to_owned(),
            "/v1/vms/vm-1/exec" if is_stream => "{\"t\":\"x\",\"c\":3}\n".to_owned(),
            "/v1/vms/vm-1/exec" => OUTPUT.to_owned(),
            other => panic!("{other}"),
        };
        Some((200, body))
    });
    let client = Client::builder().transport(fake).build().unwrap();
    let vm = client.vms().launch("c1m2").await.unwrap();
    assert_eq!(vm.status, "running");
    assert!(vm.run("true").await.unwrap().is_success());
    let mut events = vm.stream("true").await.unwrap();
    let Some(ExecEvent::Exit(exit)) = events.try_next().await.unwrap() else {
        panic!("the command has ended");
    };
    assert_eq!(exit.code, 3);
}

#[tokio::test]
async fn a_silent_command_on_a_given_transport_ends_with_its_vm() {
    let (fake, _) = Fake::new(|request, _| match request.url().path() {
        "/v1/vms/vm-1/exec" => None,
        _ => Some((404, "{}".to_owned())),
    });
    let client = Client::builder().transport(fake);
    let client = client.idle_check(Duration::from_millis(20)).build();
    let error = client.unwrap().vms().run("vm-1", "true").await;
    assert!(error.unwrap_err().is_gone());
}

/// An HTTP stack of the program's own.
#[derive(Debug)]
struct Forward(reqwest::Client);

impl Transport for Forward {
    fn send<'a>(&'a self, request: reqwest::Request, _: &'a CallInfo) -> Sending<'a> {
        Box::pin(async {
            let broken = |_| fastvm::Error::new(ErrorKind::Connection, "broken");
            self.0.execute(request).await.map_err(broken)
        })
    }
}

#[tokio::test]
async fn files_go_both_ways_over_a_given_transport() {
    let world = World::start().await;
    let _ = ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let client = Client::builder()
        .api_key(world.server.api_key())
        .base_url(world.server.base_url())
        .transport(Forward(http))
        .build()
        .unwrap();
    let vm = client.vms().launch("c1m2").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    std::fs::write(&there, "hello").unwrap();
    vm.upload(&there, "/root/a").await.unwrap();
    vm.download("/root/a", &back).await.unwrap();
    assert_eq!(std::fs::read_to_string(back).unwrap(), "hello");
}

// Whatever is set, what a program prints of it

#[test]
fn a_builder_prints_its_settings_and_no_secret() {
    let builder = Client::builder()
        .api_key("hunter2")
        .proxy("http://user:hunter2@proxy")
        .root_certificate("hunter2")
        .request_timeout(Duration::from_secs(7))
        .user_agent_suffix("my-app");
    let text = format!("{builder:?}");
    assert!(text.contains("7s") && text.contains("my-app"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let client = client("http://127.0.0.1:9", "hunter2");
    assert!(!format!("{client:?} {:?}", client.transport()).contains("hunter2"));
}
