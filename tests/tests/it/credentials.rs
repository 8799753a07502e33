//! Logins and keys from files: only the one that is meant is sent, and none is shown.

use std::path::PathBuf;

use fastvm::types::BucketMountCredentials;
use fastvm::{ErrorKind, Outcome, credentials};
use fastvm_local::Server;
use fastvm_tests::{Reply, Stub, World, client};
use tempfile::TempDir;

const CANARY: &str = "canaryOfALogin";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOhU10UZtne1B66/XR8exFNXZloQcOZTaMRsXITKMG+Y";

fn file(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn gcp(kind: &str, email: &str, key: &str) -> String {
    serde_json::json!({
        "type": kind, "project_id": "p", "private_key_id": CANARY, "private_key": key,
        "client_email": email,
    })
    .to_string()
}

fn pem() -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n")
}

fn wire(credentials: &BucketMountCredentials) -> serde_json::Value {
    assert!(!format!("{credentials:?}").contains(CANARY));
    serde_json::to_value(credentials).unwrap()
}

#[tokio::test]
async fn a_bucket_is_mounted_with_the_login_of_a_file() {
    let buckets = tempfile::tempdir().unwrap();
    for bucket in ["gs/data", "s3/logs"] {
        std::fs::create_dir_all(buckets.path().join(bucket)).unwrap();
    }
    std::fs::write(buckets.path().join("gs/data/hello"), "hi").unwrap();
    let server = Server::builder().buckets(buckets.path()).start().await;
    let server = server.unwrap();
    let client = client(server.base_url(), server.api_key());
    let vm = client.vms().launch("c1m2").await.unwrap();

    let (_kept, path) = file(gcp("service_account", "me@example.test", &pem()));
    let login = credentials::gcp_from_file(path).unwrap();
    let mounts = vm.bucket_mounts();
    mounts
        .attach("gs://data", "/mnt/data", login)
        .await
        .unwrap();
    assert_eq!(vm.run("cat /mnt/data/hello").await.unwrap().stdout, "hi");

    let (_kept, path) = file(format!(
        "[a]\naws_access_key_id=AKIA\naws_secret_access_key={CANARY}\n"
    ));
    let login = credentials::aws_from_file(path, "a").unwrap();
    mounts
        .attach("s3://logs", "/mnt/logs", login)
        .await
        .unwrap();
}

#[test]
fn of_a_file_with_many_profiles_only_the_one_asked_for_is_sent_as_default() {
    let (_kept, path) = file(format!(
        "# keys\n[default]\naws_access_key_id = OTHER\naws_secret_access_key = {CANARY}\n\n\
         [ work ] ; at work\n  aws_access_key_id=AKIA\n#aws_secret_access_key = old\n\
         region = eu\naws_secret_access_key = a/b+c==\naws_session_token = tok\n[empty]\n"
    ));
    let login = credentials::aws_from_file(&path, "work").unwrap();
    let expected = "[default]\naws_access_key_id = AKIA\naws_secret_access_key = a/b+c==\n\
                    aws_session_token = tok\n";
    let wired = serde_json::json!({"type": "aws-credentials", "value": {"data": expected}});
    assert_eq!(wire(&login), wired);
    wire(&credentials::aws_from_file(&path, "default").unwrap());
}

#[test]
fn of_a_service_account_key_only_what_the_service_asks_for_is_sent() {
    let (_kept, path) = file(gcp("service_account", "me@example.test", &pem()));
    let expected = serde_json::json!({"type": "gcp-service-account-json", "value": {
        "type": "service_account", "client_email": "me@example.test", "private_key": pem()}});
    assert_eq!(wire(&credentials::gcp_from_file(path).unwrap()), expected);
}

#[test]
fn what_is_no_login_is_refused_with_its_path_and_without_its_text() {
    let gcp_files = [
        CANARY.to_owned(),
        format!("{{\"type\": {CANARY}"),
        gcp("authorized_user", "me@example.test", &pem()),
        gcp(CANARY, "me@example.test", &pem()),
        gcp("service_account", CANARY, &pem()),
        gcp("service_account", "me@example.test", CANARY),
    ];
    let aws_files = [
        CANARY.to_owned(),
        format!("aws_access_key_id = a\naws_secret_access_key = {CANARY}"),
        format!("[other]\naws_access_key_id = a\naws_secret_access_key = {CANARY}"),
        format!("[default]\naws_secret_access_key = {CANARY}"),
        format!("[default]\naws_access_key_id = {CANARY}\naws_secret_access_key ="),
        format!("[default]\naws_access_key_id = a\naws_secret_access_key = {CANARY} b"),
    ];
    let refuse = |path: PathBuf, login: fastvm::Result<BucketMountCredentials>| {
        let error = login.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_eq!(error.path(), path.to_str());
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    };
    for text in gcp_files {
        let (_kept, path) = file(text);
        refuse(path.clone(), credentials::gcp_from_file(&path));
    }
    for text in aws_files {
        let (_kept, path) = file(text);
        refuse(path.clone(), credentials::aws_from_file(&path, "default"));
    }
    let error = credentials::gcp_from_file("/does/not/exist").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_public_key_is_added_from_its_file() {
    let world = World::start().await;
    let (_kept, path) = file(format!("# mine\n\n{KEY} me@home\r\n"));
    let keys = world.client.me().ssh_keys();
    let key = keys.add_file(&path).name("laptop").await.unwrap();
    assert_eq!(key.public_key, KEY);
    assert_eq!(key.name.as_deref(), Some("laptop"));
    let listed = keys.list().await.unwrap().keys;
    assert_eq!(listed, [key]);
    assert!(keys.add_file(&path).await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn a_private_key_and_whatever_else_is_no_public_key_is_never_sent() {
    let stub = Stub::start([Reply::json(200, "{}")]).await;
    let keys = client(stub.base_url(), "key").me().ssh_keys();
    let openssh = format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n-----END OPENSSH PRIVATE KEY-----\n"
    );
    let long = format!("{KEY} {}", "x".repeat(20_000));
    for (text, why) in [
        (openssh.clone(), "private key"),
        (pem(), "private key"),
        (format!("{KEY}\n{openssh}"), "private key"),
        (
            format!("PuTTY-User-Key-File-3: ssh-ed25519\n{CANARY}"),
            "private key",
        ),
        (format!("{openssh}{long}"), "private key"),
        (String::new(), "no key"),
        (CANARY.to_owned(), "no public key"),
        (
            format!("---- BEGIN SSH2 PUBLIC KEY ----\n{CANARY}"),
            "no public key",
        ),
        (format!("{KEY}\n{KEY}\n"), "more than one line"),
        (long, "more than 16 KiB"),
    ] {
        let (_kept, path) = file(text);
        let error = keys.add_file(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert_eq!(error.path(), path.to_str());
        assert!(error.to_string().contains(why), "{error}");
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    }
    let (_kept, path) = file([0xff, 0xfe]);
    assert!(keys.add_file(path).await.unwrap_err().is_invalid_input());
    let error = keys.add_file("/does/not/exist").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(stub.requests().is_empty());
}

#[tokio::test]
async fn a_key_whose_answer_is_lost_is_sent_once() {
    let stub = Stub::start([Reply::Close]).await;
    let (_kept, path) = file(KEY);
    let keys = client(stub.base_url(), "key").me().ssh_keys();
    let error = keys.add_file(path).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(stub.requests().len(), 1);
}
