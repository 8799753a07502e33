//! Secrets go in, and come out nowhere: each is a canary that no error, no debug output and no event
//! may sing.

use std::error::Error as _;
use std::fmt::Debug;
use std::time::Duration;

use fastvm::types::{
    AttachBucketMountRequest, AwsCredentialsValue, BucketMountCredentials, GcpServiceAccountKey,
    SnapshotImportSourceSpec,
};
use fastvm::{CallOptions, Client, Error, Outcome, RetryPolicy};
use fastvm_tests::{Reply, Request, Stub};
use futures_util::TryStreamExt;

use crate::calls::{VM, refusing};
use crate::tracing::Listener;

const KEY: &str = "canary-api-key";
const HEADER: &str = "canary-header";
const ENV: &str = "canary-env";
const AWS: &str = "canary-aws";
const GCP: &str = "canary-gcp";
const REGISTRY: &str = "canary-registry";
const BUILD_ARG: &str = "canary-build-arg";
const CONTEXT: &str = "canary-context";
const STDIN: &str = "canary-stdin";
/// As standard input travels.
const STDIN_BASE64: &str = "Y2FuYXJ5LXN0ZGlu";
const URL: &str = "canary-url";
const TOKEN: &str = "canary-token";
const PROXY: &str = "canary-proxy";

const ALL: [&str; 13] = [
    KEY,
    HEADER,
    ENV,
    AWS,
    GCP,
    REGISTRY,
    BUILD_ARG,
    CONTEXT,
    STDIN,
    STDIN_BASE64,
    URL,
    TOKEN,
    PROXY,
];

#[track_caller]
fn assert_silent(text: &str) {
    for canary in ALL {
        assert!(!text.contains(canary), "{canary} is in {text}");
    }
}

#[track_caller]
fn assert_silent_debug(value: &impl Debug) {
    assert_silent(&format!("{value:?} {value:#?}"));
}

/// All that a program can print of an error without asking for what the service answered.
fn assert_silent_error(error: &Error) {
    assert_silent_debug(error);
    assert_silent(&format!("{error} {:?} {:?}", error.message(), error.code()));
    let mut source = error.source();
    while let Some(cause) = source {
        assert_silent(&format!("{cause} {cause:?}"));
        source = cause.source();
    }
}

fn signed_url() -> String {
    format!("https://storage.test/bucket/a?X-Signature={URL}")
}

fn aws() -> BucketMountCredentials {
    let file = format!("[default]\naws_access_key_id=AKIA\naws_secret_access_key = {AWS}\n");
    BucketMountCredentials::AwsCredentials(AwsCredentialsValue::new(file))
}

fn gcp() -> BucketMountCredentials {
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{GCP}\n-----END PRIVATE KEY-----\n");
    let key = GcpServiceAccountKey::new("service_account", "a@b", pem);
    BucketMountCredentials::GcpServiceAccountJson(key)
}

fn source() -> SnapshotImportSourceSpec {
    SnapshotImportSourceSpec::new("dockerfile")
        .registry_password(REGISTRY)
        .context_ref(CONTEXT)
        .build_args("TOKEN", BUILD_ARG)
}

/// The errors of every call that carries a secret.
async fn errors_of(client: &Client) -> Vec<Error> {
    let vms = client.vms();
    let mounts = vms.bucket_mounts();
    let mount = AttachBucketMountRequest::new("s3://b", "/mnt", aws());
    let launch = vms.launch("c1m2").env_vars("TOKEN", ENV);
    let launch = launch.bucket_mounts(mount).launch_id(false);
    let stream = async {
        let events = vms.stream("v", "true").stdin(STDIN).send().await?;
        events.into_inner().try_collect::<Vec<_>>().await
    };
    let errors = [
        vms.list().header("authorization", HEADER).await.err(),
        launch.header("authorization", HEADER).await.err(),
        vms.run("v", "true").stdin(STDIN).await.err(),
        stream.await.err(),
        mounts.attach("v", "s3://b", "/mnt", aws()).await.err(),
        mounts.rotate("v", "w", gcp()).await.err(),
        vms.files().fetch("v", signed_url(), "/a").await.err(),
        vms.files().presign("v", "/a").await.err(),
        vms.console_token("v").await.err(),
        client.snapshot_imports().create(source()).await.err(),
        client.snapshot_imports().presign_context().await.err(),
    ];
    errors.into_iter().flatten().collect()
}

/// Every canary that a request carries, wherever it does.
fn carried(request: &Request) -> Vec<&'static str> {
    let text = format!("{request:?} {}", String::from_utf8_lossy(&request.body));
    let carries = |canary: &&str| text.contains(*canary);
    ALL.into_iter().filter(carries).collect()
}

/// A service that repeats what it was sent, in all the places where a message can be.
fn echo(status: u16, shape: usize) -> impl Fn(&Request) -> Reply {
    move |request| {
        let canaries = carried(request).join(" ");
        let said = format!("bad {canaries} at {}\nhere", signed_url());
        let body = match shape {
            0 => serde_json::json!({"error": said}),
            1 => serde_json::json!({"error": {"message": said, "code": canaries}}),
            2 => serde_json::json!({"detail": said, "code": canaries}),
            _ => serde_json::json!({"message": said, "error": carried(request).join("_")}),
        };
        Reply::json(status, &body.to_string()).header("retry-after", "0")
    }
}

fn builder(stub: &Stub) -> fastvm::ClientBuilder {
    let limit = Duration::from_millis(100);
    let mut retries = RetryPolicy::default();
    retries.max_retries = 1;
    retries.first_backoff = Duration::from_millis(1);
    let builder = Client::builder().api_key(KEY).base_url(stub.base_url());
    builder.request_timeout(limit).retry(retries)
}

#[tokio::test]
async fn a_service_that_repeats_secrets_in_its_errors_does_not_get_them_printed() {
    for status in [400, 401, 403, 404, 409, 413, 429, 500, 503] {
        for shape in 0..4 {
            let stub = Stub::answering(echo(status, shape)).await;
            // A machine that is busy must not turn the answers into timeouts.
            let patient = builder(&stub).request_timeout(Duration::from_secs(30));
            let client = patient.build().unwrap();
            let listener = Listener::start();
            let errors = errors_of(&client).await;
            assert_eq!(errors.len(), 11);
            for error in &errors {
                assert_eq!(error.status().unwrap(), status);
                // What it said is there, but for the secrets.
                assert!(error.message().contains("[redacted]"), "{error}");
                assert!(error.message().starts_with("bad "), "{error}");
                assert_silent_error(error);
            }
            assert_silent(&listener.text());
            let sent: Vec<_> = stub.requests().iter().flat_map(carried).collect();
            for canary in [
                KEY,
                HEADER,
                ENV,
                AWS,
                GCP,
                REGISTRY,
                BUILD_ARG,
                CONTEXT,
                STDIN_BASE64,
                URL,
            ] {
                assert!(sent.contains(&canary), "{canary} was never sent");
            }
        }
    }
}

#[tokio::test]
async fn faults_on_the_wire_and_answers_of_another_shape_print_no_secret() {
    let misplaced = VM.replacen('{', &format!(r#"{{"envVars":"{ENV}","#), 1);
    let number = format!(r#"{{"token":7,"uploadUrl":"{}"}}"#, signed_url());
    for reply in [
        Reply::Close,
        Reply::Stall,
        Reply::Cut(100, format!("{{\"token\":\"{TOKEN}\"").into_bytes()),
        Reply::html(502),
        Reply::json(200, &format!("{:?}", signed_url())),
        Reply::json(200, &misplaced),
        Reply::json(200, &number),
        Reply::json(307, "{}").header("location", &signed_url()),
    ] {
        let stub = Stub::start([reply]).await;
        let client = builder(&stub).build().unwrap();
        let listener = Listener::start();
        // Commands have no limit but that which the call gives.
        let limited = CallOptions::default().request_timeout(Duration::from_millis(50));
        let run = client.vms().run("v", "true").stdin(STDIN);
        let fetch = client.vms().files().fetch("v", signed_url(), "/a");
        let mounts = client.vms().bucket_mounts();
        let errors = [
            run.call_options(limited.clone()).await.err(),
            fetch.call_options(limited).await.err(),
            client.vms().retrieve("v").await.err(),
            client.vms().files().presign("v", "/a").await.err(),
            client.vms().console_token("v").await.err(),
            mounts.rotate("v", "w", gcp()).await.err(),
            client.snapshot_imports().create(source()).await.err(),
        ];
        let errors: Vec<_> = errors.into_iter().flatten().collect();
        assert!(errors.len() >= 5, "{errors:?}");
        errors.iter().for_each(assert_silent_error);
        assert_silent(&listener.text());
    }
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_told_of_without_secrets() {
    // What the HTTP library logs is heard, too.
    tracing_log::LogTracer::init().expect("no other test sets a logger");
    let (socket, url) = refusing();
    let proxy = url.replace("http://", &format!("http://user:{PROXY}@"));
    let builder = || Client::builder().api_key(KEY).max_retries(0);
    let clients = [
        builder().base_url(&url),
        builder().base_url("http://fastvm.test").proxy(&proxy),
        builder().base_url("https://fastvm.test").proxy(&proxy),
    ];
    for client in clients {
        let client = client.build().unwrap();
        let listener = Listener::start();
        for error in errors_of(&client).await {
            assert_eq!(error.outcome(), Outcome::NotSent, "{error:?}");
            assert_silent_error(&error);
        }
        assert!(listener.text().contains("reqwest"), "{}", listener.text());
        assert_silent(&listener.text());
    }
    drop(socket);
}

#[test]
fn what_is_refused_as_configuration_is_not_printed() {
    for builder in [
        Client::builder().api_key(format!("{KEY}\n{KEY}")),
        Client::builder()
            .api_key(KEY)
            .base_url(format!("http://u:{URL}@h")),
        Client::builder()
            .api_key(KEY)
            .base_url(format!("http://h?{URL}")),
        Client::builder().api_key(KEY).proxy(format!("u:{PROXY}@h")),
        Client::builder()
            .api_key(KEY)
            .proxy(format!("socks9://u:{PROXY}@h:1")),
        Client::builder().api_key(KEY).root_certificate(TOKEN),
    ] {
        assert_silent_debug(&builder);
        assert_silent_error(&builder.build().unwrap_err());
    }
}

#[tokio::test]
async fn what_a_program_holds_prints_no_secret() {
    let builder = Client::builder()
        .api_key(KEY)
        .proxy(format!("http://user:{PROXY}@proxy.test"));
    assert_silent_debug(&builder);
    let client = builder.build().unwrap();
    assert_silent_debug(&client);
    assert_silent_debug(&client.raw());
    assert_silent_debug(&client.transport());
    let vms = client.vms();
    assert_silent_debug(&CallOptions::default().header("authorization", HEADER));
    assert_silent_debug(&vms.list().header("authorization", HEADER));
    let mount = AttachBucketMountRequest::new("s3://b", "/mnt", aws());
    assert_silent_debug(&mount);
    let launch = vms.launch("c1m2").env_vars("TOKEN", ENV);
    assert_silent_debug(&launch.bucket_mounts(mount).header("x", HEADER));
    let restore = vms.restore("s").env_vars("TOKEN", ENV);
    assert_silent_debug(&restore);
    assert_silent_debug(&vms.run("v", "true").stdin(STDIN).header("x", HEADER));
    assert_silent_debug(&vms.stream("v", "true").stdin(STDIN).header("x", HEADER));
    assert_silent_debug(&vms.files().fetch("v", signed_url(), "/a"));
    for login in [aws(), gcp()] {
        assert_silent_debug(&login);
        assert_silent_debug(
            &vms.bucket_mounts()
                .attach("v", "s3://b", "/mnt", login.clone()),
        );
        assert_silent_debug(&vms.bucket_mounts().rotate("v", "w", login));
    }
    assert_silent_debug(&source());
    assert_silent_debug(&client.snapshot_imports().create(source()));
}

#[tokio::test]
async fn answers_print_no_secret() {
    let url = signed_url();
    let answers = serde_json::json!({
        "presign": {"uploadUrl": url, "downloadUrl": url, "expiresInSec": 1, "maxUploadBytes": 1},
        "console-token": {"token": TOKEN, "expiresInSec": 1, "websocketPath": "/ws"},
        "context-presign": {"uploadUrl": url, "contextRef": CONTEXT, "expiresInSec": 1, "maxUploadBytes": 1},
    });
    let vm = VM.replacen('{', &format!(r#"{{"envVars":{{"TOKEN":"{ENV}"}},"#), 1);
    let stub = Stub::answering(move |request| {
        let name = match request.line.rsplit_once('/') {
            Some((_, last)) => last,
            None => "",
        };
        match answers.get(name) {
            Some(answer) => Reply::json(200, &answer.to_string()),
            None => Reply::json(200, &vm),
        }
    })
    .await;
    let client = builder(&stub).build().unwrap();
    let listener = Listener::start();
    let presigned = client
        .vms()
        .files()
        .presign("v", "/a")
        .send()
        .await
        .unwrap();
    assert!(presigned.upload_url.contains(URL));
    assert_silent_debug(&presigned);
    let token = client.vms().console_token("v").await.unwrap();
    assert_eq!(token.token, TOKEN);
    assert_silent_debug(&token);
    let vm = client.vms().retrieve("v").await.unwrap();
    assert_eq!(vm.env_vars["TOKEN"], ENV);
    assert_silent_debug(&vm);
    assert_silent_debug(&client.vms().launch("c1m2").await.unwrap());
    let context = client.snapshot_imports().presign_context().await.unwrap();
    assert_eq!(context.context_ref, CONTEXT);
    assert_silent_debug(&context);
    assert_silent(&listener.text());
}
