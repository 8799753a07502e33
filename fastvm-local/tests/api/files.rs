//! Signed storage and fetches.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use fastvm_local::{Fault, Server};
use reqwest::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, RANGE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn a_file_goes_up_into_the_vm_and_back() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    assert!(!upload.contains('\'') && !download.contains('\''));
    assert_eq!(api.put(&upload, "some bytes").await, 200);
    assert_eq!(
        api.http
            .get(&download)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "some bytes"
    );

    let path = "/root/new folder/it's [a] {file} -ä";
    let (status, fetched) = api
        .post(
            &format!("{vm}/files/fetch"),
            json!({"url": download, "path": path}),
        )
        .await;
    assert_eq!(
        (status, &fetched["exitCode"]),
        (200, &json!(0)),
        "{fetched}"
    );
    let (_, output) = api
        .post(&format!("{vm}/exec"), json!({"command": ["cat", path]}))
        .await;
    assert_eq!(output["stdout"], "some bytes");

    let (upload, download) = api.presign(&vm).await;
    for line in [
        format!("curl -sSf -T '/root/big' '{upload}'"),
        format!("cat /root/big | curl -sSf -T - '{upload}'"),
    ] {
        let output = api
            .sh(
                &vm,
                &format!("head -c 5000000 /dev/urandom > /root/big; {line} && cksum < /root/big"),
            )
            .await;
        assert_eq!(output["exitCode"], 0, "{output}");
        let back = api
            .http
            .get(&download)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(back.len(), 5_000_000);
    }
    assert_eq!(api.put(&upload, "").await, 200);
    let (_, fetched) = api
        .post(
            &format!("{vm}/files/fetch"),
            json!({"url": download, "path": "/root/empty"}),
        )
        .await;
    assert_eq!(fetched["exitCode"], 0);
    assert_eq!(
        api.sh(&vm, "test -f /root/empty && ! test -s /root/empty")
            .await["exitCode"],
        0
    );
}

#[tokio::test]
async fn downloads_know_ranges_and_tags() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    api.put(&upload, "0123456789").await;
    let get = || api.http.get(&download);
    let whole = get().send().await.unwrap();
    assert_eq!(whole.content_length(), Some(10));
    assert_eq!(whole.headers()[CONTENT_TYPE], "application/octet-stream");
    let tag = whole.headers()[ETAG].clone();

    let part = get()
        .header(RANGE, "bytes=4-")
        .header("If-Range", &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (part.status(), &part.headers()["content-range"]),
        (
            StatusCode::PARTIAL_CONTENT,
            &"bytes 4-9/10".parse().unwrap()
        )
    );
    assert_eq!(part.text().await.unwrap(), "456789");
    assert_eq!(
        get()
            .header(RANGE, "bytes=10-")
            .send()
            .await
            .unwrap()
            .status(),
        416
    );
    assert_eq!(
        get()
            .header(IF_NONE_MATCH, &tag)
            .send()
            .await
            .unwrap()
            .status(),
        304
    );

    api.put(&upload, "abcdefghij").await;
    let changed = get()
        .header(RANGE, "bytes=4-")
        .header("If-Range", &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (changed.status(), changed.text().await.unwrap().as_str()),
        (StatusCode::OK, "abcdefghij")
    );
}

#[tokio::test]
async fn storage_is_bound_to_method_object_and_time() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    let status = async |method: Method, url: &str| {
        let response = api
            .http
            .request(method, url)
            .body("x")
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        assert!(response.json::<Value>().await.unwrap()["error"].is_string());
        status
    };
    assert_eq!(status(Method::GET, &download).await, 404);
    assert_eq!(status(Method::PUT, &download).await, 403);
    assert_eq!(status(Method::GET, &upload).await, 403);
    assert_eq!(
        status(Method::PUT, &upload.replace("method=PUT", "method=GET")).await,
        403
    );
    assert_eq!(
        status(Method::PUT, &upload.replace("expires=1", "expires=2")).await,
        403
    );
    assert_eq!(
        status(Method::PUT, &upload.replace("sig=", "sig=A")).await,
        403
    );
    assert_eq!(
        status(Method::PUT, upload.split('?').next().unwrap()).await,
        403
    );
    let (_, other) = api.presign(&vm).await;
    let (object, query) = (
        other.split('?').next().unwrap(),
        download.split('?').nth(1).unwrap(),
    );
    assert_eq!(status(Method::GET, &format!("{object}?{query}")).await, 403);
    assert_eq!(status(Method::POST, &upload).await, 405);
    assert_eq!(
        status(Method::GET, &download).await,
        404,
        "none of these has stored anything"
    );

    let brief = Api::of(
        Server::builder()
            .url_lifetime(Duration::from_millis(1))
            .start()
            .await
            .unwrap(),
    );
    let vm = brief.vm().await;
    let (upload, download) = brief.presign(&vm).await;
    eventually!("it expires", brief.put(&upload, "x").await == 403);
    let (status, refusal) = brief
        .post(
            &format!("{vm}/files/fetch"),
            json!({"url": download, "path": "/x"}),
        )
        .await;
    assert_eq!((status, refusal), (400, json!({"error": "url: expired"})));
}

#[tokio::test]
async fn an_upload_beyond_the_disk_is_refused_and_a_cut_one_leaves_nothing() {
    let state = tempfile::tempdir().unwrap();
    let api = Api::of(
        Server::builder()
            .state_dir(state.path())
            .start()
            .await
            .unwrap(),
    );
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    let target = upload.strip_prefix(api.server.base_url()).unwrap();
    let head = |length: u64| {
        format!(
            "PUT {target} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };

    let mut socket = TcpStream::connect(api.server.address()).unwrap();
    let refused = tokio::task::spawn_blocking({
        let head = head(1024 * 1024 * 1024 + 1);
        move || {
            socket.write_all(head.as_bytes()).unwrap();
            let mut line = String::new();
            BufReader::new(socket).read_line(&mut line).unwrap();
            line
        }
    });
    assert_eq!(refused.await.unwrap(), "HTTP/1.1 413 Payload Too Large\r\n");

    let mut socket = TcpStream::connect(api.server.address()).unwrap();
    socket
        .write_all(format!("{}0123456789", head(20)).as_bytes())
        .unwrap();
    eventually!("the upload begins", !objects(state.path()).is_empty());
    drop(socket);
    eventually!("the rest is removed", objects(state.path()).is_empty());
    assert_eq!(api.http.get(&download).send().await.unwrap().status(), 404);

    api.put(&upload, "x").await;
    assert_eq!(objects(state.path()).len(), 1);
    api.delete(&vm).await;
    eventually!("objects go with their VM", objects(state.path()).is_empty());
    assert_eq!(api.http.get(&download).send().await.unwrap().status(), 404);
    assert_eq!(api.put(&upload, "x").await, 404);
}

/// The objects in a state directory, finished or not.
fn objects(state: &Path) -> Vec<std::path::PathBuf> {
    let entries = |folder: &Path| -> Vec<_> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect()
    };
    let servers = entries(state).into_iter();
    let of_vms = servers.flat_map(|server| entries(&server.join("vms/.objects")));
    of_vms.flat_map(|folder| entries(&folder)).collect()
}

#[tokio::test]
async fn a_fetch_takes_only_what_it_should() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    let fetch = async |url: &str, path: &str| {
        api.post(
            &format!("{vm}/files/fetch"),
            json!({"url": url, "path": path}),
        )
        .await
    };
    for url in [
        "http://example.org/x",
        &upload,
        &download.replace("sig=", "sig=A"),
        &download.replace("127.0.0.1", "localhost"),
    ] {
        assert_eq!(
            fetch(url, "/root/x").await,
            (
                400,
                json!({"error": "url: not a downloadUrl of this server"})
            )
        );
    }
    assert_eq!(
        fetch(&download, "root/x").await,
        (400, json!({"error": "path: not of the form ^/"}))
    );
    let (status, missing) = fetch(&download, "/root/x").await;
    assert_eq!(status, 200);
    assert_ne!(missing["exitCode"], 0);
    assert!(
        missing["stderr"].as_str().unwrap().contains("404"),
        "{missing}"
    );
    assert_eq!(api.sh(&vm, "test -e /root/x").await["exitCode"], 1);
    let body = json!({"url": download, "path": "/x", "timeoutSec": -1});
    assert_eq!(api.post(&format!("{vm}/files/fetch"), body).await.0, 400);
}

#[tokio::test]
async fn a_fetch_that_fails_says_why_as_a_command_would() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    assert_eq!(api.put(&upload, "x".repeat(1_000_000)).await, 200);
    let fetch = async |path: &str| {
        let body = json!({"url": download, "path": path, "timeoutSec": 1});
        let (status, answer) = api.post(&format!("{vm}/files/fetch"), body).await;
        let said = answer["stderr"].as_str().unwrap_or_default().to_owned();
        (
            status,
            answer["exitCode"].as_i64(),
            said,
            answer["timedOut"].clone(),
        )
    };
    api.sh(
        &vm,
        "echo text >/root/file; printf '#!' >/root/tool; chmod 755 /root/tool",
    )
    .await;

    let (status, code, said, _) = fetch("/root/file/x").await;
    assert_eq!((status, code), (200, Some(23)));
    assert!(said.contains("Not a directory"), "{said}");
    assert_eq!(fetch("/usr/file").await.1, Some(23));
    assert_eq!(fetch("/root").await.1, Some(23));
    let nul = fetch("/root/a\0b").await;
    assert_eq!((nul.0, nul.1), (200, Some(23)));

    let faults = api.server.faults();
    faults
        .add(Fault::cut_body_after(500_000).on("storage.get").times(1))
        .unwrap();
    let (_, code, said, _) = fetch("/root/cut").await;
    assert_eq!(code, Some(18), "{said}");
    faults
        .add(Fault::status(503).on("storage.get").times(1))
        .unwrap();
    let (_, code, said, _) = fetch("/root/refused").await;
    assert_eq!(code, Some(22));
    assert!(said.contains("503"), "{said}");
    faults
        .add(Fault::stall().on("storage.get").times(1))
        .unwrap();
    let (_, code, _, timed_out) = fetch("/root/late").await;
    assert_eq!((code, timed_out), (Some(137), json!(true)));
    assert_eq!(
        api.sh(&vm, "test -e /root/refused || test -e /root/late")
            .await["exitCode"],
        1
    );

    assert_eq!(fetch("/root/tool").await.1, Some(0));
    let mode = api.sh(&vm, "stat -c '%a %s' /root/tool").await;
    assert_eq!(mode["stdout"], "755 1000000\n", "a file keeps its mode");
    let (status, _) = api.post(&format!("{vm}/pause"), json!({})).await;
    assert_eq!((status, fetch("/root/paused").await.0), (200, 409));
}
