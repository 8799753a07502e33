//! Paths, methods, keys and bodies.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::support::*;

/// What this server has; the test of the others goes by it.
const SERVED: &[&str] = &[
    "listVms",
    "launchVm",
    "getVm",
    "updateVm",
    "deleteVm",
    "pauseVm",
    "resumeVm",
    "refreshVmTtl",
    "execVm",
    "setVmFirewall",
    "patchVmFirewall",
    "listServices",
    "registerService",
    "updateService",
    "deleteService",
    "createConsoleToken",
    "presignFile",
    "fetchFileToVm",
    "attachVolume",
    "detachVolume",
    "listVolumes",
    "createVolume",
    "getVolume",
    "updateVolume",
    "deleteVolume",
    "listVolumeAttachments",
    "listBucketMounts",
    "attachBucketMount",
    "getBucketMount",
    "rotateBucketMount",
    "deleteBucketMount",
    "listSnapshots",
    "createSnapshot",
    "getSnapshot",
    "updateSnapshot",
    "deleteSnapshot",
    "listSnapshotImports",
    "createSnapshotImport",
    "presignSnapshotImportContext",
    "getSnapshotImport",
    "deleteSnapshotImport",
    "cancelSnapshotImport",
    "getOrgQuotas",
    "getHealth",
    "getPricing",
    "listSshKeys",
    "addSshKey",
    "deleteSshKey",
];

#[tokio::test]
async fn all_but_health_needs_the_key() {
    let api = Api::start().await;
    let without_key = |path: &str| api.http.get(format!("{}{path}", api.server.base_url()));
    assert_eq!(
        answer(without_key("/healthz")).await,
        (200, json!({"status": "ok"}))
    );
    assert_eq!(
        answer(without_key("/v1/vms").header("X-API-Key", "wrong"))
            .await
            .0,
        401
    );
    for path in ["/v1/vms", "/v1/vms/x", "/v1/snapshots", "/nowhere"] {
        let (status, refusal) = answer(without_key(path)).await;
        assert_eq!(status, 401);
        assert!(refusal["error"].is_string());
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let api = Api::start().await;
    let (status, refusal) = api.get("/v1/nowhere").await;
    assert_eq!(
        (status, refusal),
        (404, json!({"error": "no such operation: GET /v1/nowhere"}))
    );
    let response = api.request(Method::PUT, "/v1/vms").send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
    assert!(response.json::<Value>().await.unwrap()["error"].is_string());
    assert_eq!(api.get("/v1/vms/%FF").await.0, 404);
    assert_eq!(api.get("/v1/vms/..%2F..").await.0, 404);
}

#[tokio::test]
async fn every_other_operation_answers_501() {
    let api = Api::start().await;
    for operation in fastvm_api::operations::ALL {
        if SERVED.contains(&operation.id) {
            continue;
        }
        let path = operation.path.replace(['{', '}'], "");
        let method = operation.method.parse().unwrap();
        let (status, refusal) = answer(api.request(method, &path)).await;
        let expected = format!("{} is not available on the local server yet", operation.id);
        assert_eq!((status, refusal), (501, json!({"error": expected})));
    }
}

#[tokio::test]
async fn bodies_that_are_not_as_expected_are_refused() {
    let api = Api::start().await;
    let post = |body: &str| api.request(Method::POST, "/v1/vms").body(body.to_owned());
    for (request, expected) in [
        (post("{"), "EOF"),
        (post(""), "the body is missing"),
        (post("[]"), "the body: a list, not an object"),
        (post("{} {}"), "trailing"),
        (post("{}").header(CONTENT_TYPE, "text/plain"), "text/plain"),
    ] {
        let (status, refusal) = answer(request).await;
        assert_eq!(status, 400);
        assert!(
            refusal["error"].as_str().unwrap().contains(expected),
            "{refusal}"
        );
    }
    let exact = post("null").header(CONTENT_TYPE, "Application/JSON ; charset=utf-8");
    assert_eq!(
        answer(exact).await.1["error"],
        "the body: null, not an object"
    );
    let large = "x".repeat(16 * 1024 * 1024 + 1);
    assert_eq!(answer(post(&large)).await.0, 413);
    let chunked = reqwest::Body::wrap_stream(Chunks(17));
    assert_eq!(
        answer(api.request(Method::POST, "/v1/vms").body(chunked))
            .await
            .0,
        413
    );
}

#[tokio::test]
async fn a_wrong_field_is_named_by_its_path_and_never_quoted() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let exec = format!("{vm}/exec");
    for (path, body, expected) in [
        (
            "/v1/vms",
            json!({"metadata": null}),
            "metadata: null, not an object",
        ),
        (
            "/v1/vms",
            json!({"envVars": {"KEY": 5}}),
            "envVars.KEY: a number, not a string",
        ),
        (
            "/v1/vms",
            json!({"ttl": {"seconds": 60, "action": "S3CRET"}}),
            r#"ttl.action: not one of "pause", "delete""#,
        ),
        (
            "/v1/vms",
            json!({"firewall": {"ingress": {"default": "deny", "rules": [{"action": "allow"}]}}}),
            "firewall.ingress.rules[0].kind: missing",
        ),
        (
            "/v1/vms",
            json!({"bucketMounts": [{
                "bucketUri": "s3://b", "mountPath": "/mnt/b",
                "credentials": {"type": "aws-credentials", "value": "S3CRET"},
            }]}),
            "bucketMounts[0].credentials.value: a string, not an object",
        ),
        (&exec, json!({}), "command: missing"),
        (
            &exec,
            json!({"command": "S3CRET"}),
            "command: a string, not a list",
        ),
        (
            &exec,
            json!({"command": ["sh", 1]}),
            "command[1]: a number, not a string",
        ),
        (
            &exec,
            json!({"command": ["true"], "stdin": ["S3CRET"]}),
            "stdin: a list, not a string",
        ),
        (
            &exec,
            json!({"command": ["true"], "timeoutSec": 0}),
            "timeoutSec: less than 1",
        ),
    ] {
        let refusal = api.post(path, body).await;
        assert_eq!(refusal, (400, json!({"error": expected})));
    }
    let cleared = api.patch(&vm, json!({"ttl": null})).await;
    assert_eq!(cleared.0, 200);
}

#[tokio::test]
async fn a_body_that_an_operation_does_not_have_is_ignored() {
    let api = Api::start().await;
    let request = api.request(Method::GET, "/v1/org/quotas").body("{");
    assert_eq!(answer(request).await.0, 200);
}

/// So many MiB without a length.
struct Chunks(usize);

impl futures_core::Stream for Chunks {
    type Item = Result<Vec<u8>, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let chunk = self.0.checked_sub(1).map(|left| {
            self.0 = left;
            Ok(vec![b'x'; 1024 * 1024])
        });
        std::task::Poll::Ready(chunk)
    }
}
