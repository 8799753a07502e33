//! Snapshot imports.

use std::path::Path;
use std::time::Duration;

use fastvm_local::{Quota, Server};
use reqwest::Method;
use serde_json::{Value, json};

use crate::image::{Layer, TestImage, gzip};
use crate::support::*;

const IMPORTS: &str = "/v1/snapshot-imports";

fn of_image(image: &str) -> Value {
    json!({"source": {"type": "image", "image": image}})
}

async fn with_images(dir: &Path) -> Api {
    Api::of(Server::builder().images(dir).start().await.unwrap())
}

/// A server whose imports stay pending.
async fn patient() -> Api {
    let server = Server::builder().boot_delay(Duration::from_secs(600));
    Api::of(server.start().await.unwrap())
}

async fn create(api: &Api, body: Value) -> (String, Value) {
    let (status, import) = api.post(IMPORTS, body).await;
    assert_eq!(status, 202, "{import}");
    let path = format!("{IMPORTS}/{}", import["id"].as_str().unwrap());
    (path, import)
}

/// An import when it is over.
async fn over(api: &Api, path: &str) -> Value {
    eventually!(
        "the import ends",
        api.get(path).await.1["finishedAt"].is_string()
    );
    api.get(path).await.1
}

async fn imported(api: &Api, body: Value) -> Value {
    let (path, _) = create(api, body).await;
    let import = over(api, &path).await;
    assert_eq!(import["status"], "succeeded", "{import}");
    import
}

async fn failure(api: &Api, image: &str) -> String {
    let (path, _) = create(api, of_image(image)).await;
    let import = over(api, &path).await;
    assert_eq!(import["status"], "failed", "{import}");
    assert_eq!(import.get("snapshotId"), None);
    import["error"].as_str().unwrap().to_owned()
}

async fn launch(api: &Api, import: &Value) -> String {
    api.launch(json!({"snapshotId": import["snapshotId"]}))
        .await
}

/// The phases and how they went.
fn phases(import: &Value) -> Vec<String> {
    let events = import["events"].as_array().unwrap().iter();
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    events
        .map(|event| format!("{} {}", text(event, "phase"), text(event, "status")))
        .collect()
}

fn small(text: &str) -> TestImage {
    TestImage::new([Layer::new().file("data", 0o644, text)], json!({}))
}

#[tokio::test]
async fn the_root_of_a_cold_launch_is_an_image_that_needs_no_download() {
    let api = Api::start().await;
    let mut body = of_image("local/base");
    body["name"] = json!("  my  base ");
    let (path, created) = create(&api, body).await;
    let expected = json!({
        "status": "pending", "name": "my base", "machineName": "c1m2", "cpu": 1,
        "memoryMiB": 2048, "diskGiB": 10,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(created[field], *value, "{field}");
    }
    assert_eq!(created["source"]["image"], "local/base");
    let import = over(&api, &path).await;
    assert_eq!(import["status"], "succeeded", "{import}");
    let expected = [
        "preparing started",
        "preparing completed",
        "network skipped",
        "pull started",
        "pull completed",
        "export skipped",
        "saving started",
        "saving completed",
        "warming skipped",
        "done completed",
    ];
    assert_eq!(phases(&import), expected);
    let snapshot = format!("/v1/snapshots/{}", import["snapshotId"].as_str().unwrap());
    let (_, snapshot) = api.get(&snapshot).await;
    assert_eq!(
        (&snapshot["status"], &snapshot["name"]),
        (&json!("ready"), &json!("my base"))
    );
    let vm = launch(&api, &import).await;
    assert_eq!(api.get(&vm).await.1["machineName"], "c1m2");
    let output = api
        .sh(
            &vm,
            "echo works > /opt/x; cat /opt/x; ls -d /usr/bin; pwd; id -u",
        )
        .await;
    assert_eq!(output["stdout"], "works\n/usr/bin\n/root\n0\n");
}

#[tokio::test]
async fn a_vm_of_an_image_has_its_files_environment_directory_and_user() {
    let dir = tempfile::tempdir().unwrap();
    let lower = Layer::new()
        .programs(&["sh", "cat", "ls", "id", "env", "touch"])
        .folder("etc", 0o755)
        .file(
            "etc/passwd",
            0o644,
            "root:x:0:0::/root:/bin/sh\napp:x:1234:1234::/home/app:/bin/sh\n",
        )
        .file("etc/group", 0o644, "root:x:0:\napp:x:1234:\n")
        .folder("old", 0o755)
        .file("old/gone", 0o644, "")
        .folder("srv", 0o755)
        .file("srv/data", 0o644, "lower\n");
    let upper = Layer::new()
        .file("srv/data", 0o644, "upper\n")
        .file(".wh.old", 0, "");
    let config = json!({
        "Env": ["PATH=/bin", "FROM_IMAGE=yes", "BOTH=image"], "WorkingDir": "/srv/app",
        "User": "app", "Volumes": null,
    });
    let image = TestImage::new([lower, upper], config);
    image.layout(
        &dir.path().join("python"),
        json!({"org.opencontainers.image.ref.name": "3.13-slim"}),
    );
    let api = with_images(dir.path()).await;
    let import = imported(&api, of_image("python:3.13-slim")).await;
    let body = json!({"snapshotId": import["snapshotId"], "envVars": {"BOTH": "vm"}});
    let vm = api.launch(body).await;
    let look = "pwd; echo $FROM_IMAGE $BOTH; cat /srv/data; ls -d /old /usr/share; id -u";
    let output = api.sh(&vm, look).await;
    let user = if nix::unistd::geteuid().is_root() {
        "1234"
    } else {
        "0"
    };
    assert_eq!(
        output["stdout"],
        format!("/srv/app\nyes vm\nupper\n{user}\n"),
        "{output}"
    );

    // What was made of it keeps all that.
    let id = vm.rsplit('/').next().unwrap();
    let (status, snapshot) = api.post("/v1/snapshots", json!({"vmId": id})).await;
    assert_eq!(status, 201, "{snapshot}");
    let again = api.launch(json!({"snapshotId": snapshot["id"]})).await;
    let output = api
        .sh(&again, "pwd; echo $FROM_IMAGE; id -u; ls -d /usr/share")
        .await;
    assert_eq!(
        output["stdout"],
        format!("/srv/app\nyes\n{user}\n"),
        "{output}"
    );
}

#[tokio::test]
async fn a_program_that_an_image_has_not_is_told_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.tar"), small("x").saved(&["x:1"])).unwrap();
    let api = with_images(dir.path()).await;
    let import = imported(&api, of_image("x:1")).await;
    let vm = launch(&api, &import).await;
    let output = api.sh(&vm, "true").await;
    assert_eq!(output["exitCode"], 127);
    assert!(
        output["stderr"].as_str().unwrap().contains("sh"),
        "{output}"
    );
    let (status, token) = api.post(&format!("{vm}/console-token"), json!({})).await;
    assert_eq!(status, 200, "{token}");
}

#[tokio::test]
async fn images_are_found_by_every_name_they_carry() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, data: Vec<u8>| std::fs::write(dir.path().join(name), data).unwrap();
    put(
        "a.tar",
        small("a").saved(&["docker.io/library/one:latest", "ghcr.io/org/two:v2"]),
    );
    put("b.tar.gz", gzip(&small("b").saved(&["three:1.0"])));
    put("Four.tgz", gzip(&small("c").saved(&[])));
    let name = json!({"io.containerd.image.name": "docker.io/library/five:5", "org.opencontainers.image.ref.name": "5"});
    let digest = small("d").layout(&dir.path().join("whatever"), name);
    small("e").layout(&dir.path().join("six"), json!({}));
    put("notes.txt", b"no image".to_vec());
    let api = with_images(dir.path()).await;
    for name in [
        "one",
        "library/one:latest",
        "docker.io/one",
        "ghcr.io/org/two:v2",
        "three:1.0",
        "four",
        "five:5",
        "six:latest",
        &format!("five@{digest}"),
        &format!("five:9@{digest}"),
    ] {
        imported(&api, of_image(name)).await;
    }
    let text = failure(&api, "five").await;
    let folder = dir.path().display();
    let expected = format!(
        "docker.io/library/five:latest is not here: no registry is asked, and the folder of images \
         {folder} has five:5, four:latest, ghcr.io/org/two:v2, local/base, one:latest, six:latest, \
         three:1.0; put it there with `docker save five:latest -o {folder}/five.tar`"
    );
    assert_eq!(text, expected);

    // It need not be there from the start.
    put("late.tar", small("late").saved(&["five:latest"]));
    imported(&api, of_image("five")).await;
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_told_with_the_way_out() {
    let api = Api::start().await;
    let text = failure(&api, "python:3.13-slim").await;
    assert!(
        text.contains("--images DIR")
            && text.contains("docker save python:3.13-slim -o DIR/python.tar"),
        "{text}"
    );

    let mut other = of_image("local/base");
    other["source"]["platform"] = json!("linux/s390x");
    let (path, _) = create(&api, other).await;
    let import = over(&api, &path).await;
    assert!(
        import["error"].as_str().unwrap().contains("linux/s390x"),
        "{import}"
    );
    let failed = ["pull failed", "done failed"];
    assert_eq!(phases(&import)[4..], failed);
}

#[tokio::test]
async fn a_damaged_or_hostile_image_fails_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let damaged = dir.path().join("damaged");
    small("x").layout(&damaged, json!({}));
    let digest = crate::image::digest(&gzip(&small("x").layers[0]));
    let other = gzip(&small("y").layers[0]);
    std::fs::write(damaged.join("blobs/sha256").join(&digest[7..]), other).unwrap();
    let climbing = Layer::new()
        .link("out", "/nowhere/on/earth")
        .file("out/x", 0o644, "");
    let climbing = TestImage::new([climbing], json!({})).saved(&["climbing"]);
    std::fs::write(dir.path().join("climbing.tar"), climbing).unwrap();
    std::fs::write(
        dir.path().join("half.tar"),
        &small("x").saved(&["half"])[..700],
    )
    .unwrap();
    let api = with_images(dir.path()).await;
    let text = failure(&api, "damaged").await;
    assert!(text.contains("layer 1") && text.contains(&digest), "{text}");
    let text = failure(&api, "climbing").await;
    assert!(text.contains("layer 1 of the image: out/x"), "{text}");
    let text = failure(&api, "half").await;
    assert!(text.contains("not readable: half.tar"), "{text}");
    assert_eq!(api.get("/v1/snapshots").await.1, json!([]));
    let (_, quota) = api.get("/v1/org/quotas").await;
    assert_eq!(quota["usage"]["snapshotCount"], 0);
}

#[tokio::test]
async fn fields_of_both_kinds_are_not_mixed_and_none_is_missing() {
    let api = Api::start().await;
    let image = |more: Value| {
        let mut source = json!({"type": "image", "image": "local/base"});
        source
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        source
    };
    let dockerfile = |more: Value| {
        let mut source = json!({"type": "dockerfile", "contextRef": "S3CRET"});
        source
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        source
    };
    let args: serde_json::Map<_, _> = (0..65).map(|n| (format!("A{n}"), json!(""))).collect();
    for (source, expected) in [
        (
            image(json!({"contextRef": "S3CRET"})),
            "source.contextRef: not allowed with a source of kind image",
        ),
        (
            image(json!({"buildArgs": {"A": "S3CRET"}})),
            "source.buildArgs: not allowed",
        ),
        (image(json!({"target": "x"})), "source.target: not allowed"),
        (
            image(json!({"dockerfilePath": "x"})),
            "source.dockerfilePath: not allowed",
        ),
        (
            dockerfile(json!({"image": "x"})),
            "source.image: not allowed with a source of kind dockerfile",
        ),
        (
            dockerfile(json!({"platform": "x"})),
            "source.platform: not allowed",
        ),
        (json!({"type": "image"}), "source.image: missing"),
        (
            json!({"type": "image", "image": "UPPER//case"}),
            "source.image: ",
        ),
        (
            image(json!({"platform": "amd64"})),
            "source.platform: not of the form",
        ),
        (json!({"type": "dockerfile"}), "source.contextRef: missing"),
        (dockerfile(json!({})), "source.contextRef: unknown"),
        (
            dockerfile(json!({"dockerfilePath": "../x"})),
            "source.dockerfilePath: ",
        ),
        (
            dockerfile(json!({"dockerfilePath": "/x"})),
            "source.dockerfilePath: ",
        ),
        (dockerfile(json!({"buildArgs": args})), "source.buildArgs: "),
        (
            dockerfile(json!({"buildArgs": {"A": "x".repeat(8192)}})),
            "source.buildArgs: ",
        ),
        (
            dockerfile(json!({"registryPassword": "S3CRET"})),
            "source.registryHost: missing",
        ),
        (json!({"type": "other"}), "source.type: "),
    ] {
        let (status, refusal) = api.post(IMPORTS, json!({"source": source})).await;
        let text = refusal["error"].as_str().unwrap();
        assert!(
            status == 400 && text.starts_with(expected),
            "{status} {refusal}"
        );
        assert!(!text.contains("S3CRET"), "{text}");
    }
    assert_eq!(api.post(IMPORTS, json!({})).await.0, 400);
    let sized = json!({"source": {"type": "image", "image": "local/base"}, "diskGiB": 0});
    assert_eq!(api.post(IMPORTS, sized).await.0, 400);
    assert_eq!(api.get(IMPORTS).await, (200, json!([])));
    // What is empty is as if it were not there.
    imported(
        &api,
        json!({"source": image(json!({"target": "", "contextRef": "", "buildArgs": {}}))}),
    )
    .await;
}

#[tokio::test]
async fn a_login_is_never_shown() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::builder().state_dir(state.path());
    let api = Api::of(server.start().await.unwrap());
    let mut body = of_image("local/base");
    body["source"]["registryUsername"] = json!("me");
    body["source"]["registryPassword"] = json!("S3CRET");
    body["source"]["registryHost"] = json!("ghcr.io");
    let import = imported(&api, body).await;
    assert_eq!(import["source"]["registryUsername"], "me");
    assert_eq!(import["source"].get("registryHost"), None);
    assert!(!import.to_string().contains("S3CRET"));
    let record = format!(
        "kept/records/snapshot-imports/{}.json",
        import["id"].as_str().unwrap()
    );
    let record = std::fs::read_to_string(state.path().join(record)).unwrap();
    assert!(!record.contains("S3CRET"));
}

#[tokio::test]
async fn a_running_import_is_cancelled_before_it_is_deleted() {
    let api = patient().await;
    let (path, created) = create(&api, of_image("local/base")).await;
    assert_eq!(created["status"], "pending");
    let running = (409, json!({"error": "import is still running"}));
    assert_eq!(api.delete(&path).await, running);
    let (_, quota) = api.get("/v1/org/quotas").await;
    assert_eq!(quota["usage"]["snapshotCount"], 1);

    let (status, cancelled) = api.post(&format!("{path}/cancel"), json!({})).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    assert!(cancelled["finishedAt"].is_string());
    assert_eq!(phases(&cancelled), ["done cancelled"]);
    assert_eq!(
        api.post(&format!("{path}/cancel"), json!({})).await,
        (200, cancelled.clone())
    );
    assert_eq!(api.get(&path).await, (200, cancelled));
    eventually!(
        "the quota is given back",
        api.get("/v1/org/quotas").await.1["usage"]["snapshotCount"] == 0
    );
    assert_eq!(api.get("/v1/snapshots").await.1, json!([]));
    assert_eq!(api.delete(&path).await.0, 200);
    assert_eq!(api.get(&path).await.0, 404);
}

#[tokio::test]
async fn an_import_that_is_over_is_not_changed_by_a_cancel() {
    let api = Api::start().await;
    let import = imported(&api, of_image("local/base")).await;
    let path = format!("{IMPORTS}/{}", import["id"].as_str().unwrap());
    assert_eq!(
        api.post(&format!("{path}/cancel"), json!({})).await,
        (200, import)
    );
    for (method, path) in [
        (Method::GET, format!("{IMPORTS}/none")),
        (Method::DELETE, format!("{IMPORTS}/none")),
        (Method::POST, format!("{IMPORTS}/none/cancel")),
    ] {
        let (status, refusal) = answer(api.request(method, &path)).await;
        assert_eq!(
            (status, refusal),
            (404, json!({"error": "no such snapshot import"}))
        );
    }
}

#[tokio::test]
async fn deleting_an_import_deletes_its_snapshot_and_no_vm() {
    let api = Api::start().await;
    let first = imported(&api, of_image("local/base")).await;
    let second = imported(&api, of_image("local/base")).await;
    let (_, all) = api.get(IMPORTS).await;
    assert_eq!(all, json!([second, first]), "the newest first");
    let vm = launch(&api, &first).await;
    let path = format!("{IMPORTS}/{}", first["id"].as_str().unwrap());
    assert_eq!(
        api.delete(&path).await,
        (200, json!({"id": first["id"], "deleted": true}))
    );
    assert_eq!(api.get(&path).await.0, 404);
    let (_, snapshots) = api.get("/v1/snapshots").await;
    assert_eq!(snapshots.as_array().unwrap().len(), 1);
    assert_eq!(snapshots[0]["id"], second["snapshotId"]);
    assert_eq!(api.sh(&vm, "echo lives").await["stdout"], "lives\n");
}

#[tokio::test]
async fn imports_outlive_the_server_and_what_ran_has_failed() {
    let dir = tempfile::tempdir().unwrap();
    let state = tempfile::tempdir().unwrap();
    let image = TestImage::new([Layer::new().programs(&["sh"])], json!({"Env": ["A=kept"]}));
    std::fs::write(dir.path().join("x.tar"), image.saved(&["x"])).unwrap();
    let server = || Server::builder().state_dir(state.path()).images(dir.path());
    let api = Api::of(server().start().await.unwrap());
    let done = imported(&api, of_image("x")).await;
    api.server.stop().await;

    let server_too_slow = server().boot_delay(Duration::from_secs(600));
    let api = Api::of(server_too_slow.start().await.unwrap());
    let (path, _) = create(&api, of_image("x")).await;
    api.server.stop().await;

    let api = Api::of(server().start().await.unwrap());
    let interrupted = api.get(&path).await.1;
    assert_eq!(interrupted["status"], "failed");
    assert_eq!(
        interrupted["error"],
        "the server ended before the import did"
    );
    assert_eq!(api.get(IMPORTS).await.1, json!([interrupted, done]));
    let vm = launch(&api, &done).await;
    assert_eq!(api.sh(&vm, "echo $A").await["stdout"], "kept\n");
}

#[tokio::test]
async fn imports_count_against_the_quota_of_snapshots() {
    let mut quota = Quota::default();
    quota.snapshot_count = 1;
    let api = Api::of(Server::builder().quota(quota).start().await.unwrap());
    imported(&api, of_image("local/base")).await;
    let (status, refusal) = api.post(IMPORTS, of_image("local/base")).await;
    let text = refusal["error"].as_str().unwrap();
    assert!(status == 403 && text.contains("snapshotCount"), "{refusal}");
}

#[tokio::test]
async fn a_build_context_is_uploaded_and_used_once() {
    let api = patient().await;
    let presign = format!("{IMPORTS}/context-presign");
    let request = api.request(Method::POST, &presign);
    let (status, context) = answer(request).await;
    assert_eq!(status, 200, "the body may be left out: {context}");
    assert_eq!(
        (&context["maxUploadBytes"], &context["expiresInSec"]),
        (&json!(536_870_912), &json!(900))
    );
    let too_large = api.post(&presign, json!({"sizeBytes": 536_870_913})).await;
    assert_eq!(too_large.0, 400, "{too_large:?}");
    assert_eq!(
        api.post(&presign, json!({"sizeBytes": 536_870_912}))
            .await
            .0,
        200
    );

    let body = json!({"source": {
        "type": "dockerfile", "contextRef": context["contextRef"], "target": "last",
        "buildArgs": {"A": "1"},
    }});
    let (status, refusal) = api.post(IMPORTS, body.clone()).await;
    assert_eq!(
        (status, refusal),
        (
            400,
            json!({"error": "source.contextRef: nothing was uploaded"})
        )
    );
    let url = context["uploadUrl"].as_str().unwrap();
    assert_eq!(api.put(url, "not a zip").await, 200);
    assert_eq!(api.http.get(url).send().await.unwrap().status(), 403);
    let (path, import) = create(&api, body.clone()).await;
    let source = json!({
        "type": "dockerfile", "dockerfilePath": "Dockerfile", "target": "last",
        "buildArgs": {"A": "1"}, "contextSizeBytes": 9,
    });
    assert_eq!(import["source"], source);
    let (status, refusal) = api.post(IMPORTS, body).await;
    assert_eq!(status, 400, "it is used: {refusal}");
    assert_eq!(api.put(url, "another").await, 404);
    assert_eq!(api.post(&format!("{path}/cancel"), json!({})).await.0, 200);
}

#[tokio::test]
async fn a_build_context_that_is_too_large_is_refused() {
    use std::io::{BufRead, BufReader, Write};
    let api = Api::start().await;
    let (_, context) = api
        .post(&format!("{IMPORTS}/context-presign"), json!({}))
        .await;
    let url = context["uploadUrl"].as_str().unwrap();
    let target = url.strip_prefix(api.server.base_url()).unwrap();
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 536870913\r\nexpect: 100-continue\r\n\r\n"
    );
    let mut socket = std::net::TcpStream::connect(api.server.address()).unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        socket.write_all(head.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line).unwrap();
        line
    });
    assert_eq!(answer.await.unwrap(), "HTTP/1.1 413 Payload Too Large\r\n");
}

/// Uploads a context; gives its reference.
async fn context(api: &Api, files: &[(&str, &str)]) -> Value {
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, text) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o644);
        archive.start_file(*path, options).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    let archive = archive.finish().unwrap().into_inner();
    let (_, context) = api
        .post(&format!("{IMPORTS}/context-presign"), json!({}))
        .await;
    assert_eq!(
        api.put(context["uploadUrl"].as_str().unwrap(), archive)
            .await,
        200
    );
    context["contextRef"].clone()
}

fn of_context(context: Value) -> Value {
    json!({"source": {"type": "dockerfile", "contextRef": context}})
}

#[tokio::test]
async fn a_dockerfile_becomes_a_snapshot() {
    let api = Api::start().await;
    let dockerfile = "FROM local/base AS unused\nRUN exit 1\nFROM local/base\nARG WHO=nobody\n\
        ENV BUILT=yes\nWORKDIR /srv/app\nCOPY data .\nRUN echo for $WHO > made && cat data\n";
    let context = context(&api, &[("docker/File", dockerfile), ("data", "context\n")]).await;
    let mut body = of_context(context);
    body["source"]["dockerfilePath"] = json!("docker/File");
    body["source"]["buildArgs"] = json!({"WHO": "you"});
    let import = imported(&api, body).await;
    let phases = phases(&import);
    let order = [
        "preparing completed",
        "network skipped",
        "fetch_context started",
        "fetch_context completed",
        "build started",
        "build completed",
        "export skipped",
        "saving started",
        "saving completed",
        "warming skipped",
        "done completed",
    ];
    let places = order.map(|phase| phases.iter().position(|found| found == phase));
    assert!(places.is_sorted() && places[0].is_some(), "{phases:?}");
    let events = import["events"].to_string();
    assert!(
        events.contains("context"),
        "what RUN writes is in the log: {events}"
    );
    let vm = launch(&api, &import).await;
    let output = api.sh(&vm, "pwd; cat made data; echo $BUILT").await;
    assert_eq!(
        output["stdout"], "/srv/app\nfor you\ncontext\nyes\n",
        "{output}"
    );
}

#[tokio::test]
async fn a_build_that_fails_says_where() {
    let api = Api::start().await;
    for (dockerfile, expected) in [
        (
            "FROM local/base\nRUN echo why >&2; exit 3\n",
            "exit code 3: why",
        ),
        (
            "FROM nowhere\n",
            "docker.io/library/nowhere:latest is not here: no registry is asked",
        ),
        ("FROM local/base\nONBUILD RUN true\n", "ONBUILD"),
    ] {
        let context = context(&api, &[("Dockerfile", dockerfile)]).await;
        let (path, _) = create(&api, of_context(context)).await;
        let import = over(&api, &path).await;
        assert_eq!(import["status"], "failed");
        let text = import["error"].as_str().unwrap();
        assert!(text.contains(expected), "{text}");
        assert_eq!(phases(&import).last().unwrap(), "done failed");
    }
    assert_eq!(api.get("/v1/snapshots").await.1, json!([]));
}

#[tokio::test]
async fn a_build_is_cancelled_with_what_it_runs() {
    let api = Api::start().await;
    let seconds = unique_seconds();
    let dockerfile = format!("FROM local/base\nRUN sleep {seconds}\n");
    let context = context(&api, &[("Dockerfile", &dockerfile)]).await;
    let (path, _) = create(&api, of_context(context)).await;
    eventually!("the step runs", is_running(&seconds));
    let (_, import) = api.post(&format!("{path}/cancel"), json!({})).await;
    assert_eq!(import["status"], "cancelled");
    let phases = phases(&import);
    assert_eq!(
        phases[phases.len() - 2..],
        ["build cancelled", "done cancelled"]
    );
    eventually!("the step ends", !is_running(&seconds));
    assert_eq!(api.get(&path).await, (200, import));
}

#[tokio::test]
async fn a_server_that_has_unpacked_images_stops_at_once_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let state = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.tar"), small("x").saved(&["x"])).unwrap();
    let server = Server::builder().state_dir(state.path()).images(dir.path());
    let api = Api::of(server.start().await.unwrap());
    imported(&api, of_image("x")).await;
    let begin = std::time::Instant::now();
    api.server.stop().await;
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    let left = std::fs::read_dir(state.path()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = left.filter(|name| name.starts_with("server-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_packed_layout_for_several_platforms_gives_the_one_of_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let image = TestImage::new(
        [Layer::new().programs(&["sh"])],
        json!({"Env": ["A=found"]}),
    );
    image.layout(folder.path(), json!({}));
    let blob = |data: &[u8]| {
        let digest = crate::image::digest(data);
        std::fs::write(folder.path().join("blobs/sha256").join(&digest[7..]), data).unwrap();
        (digest, data.len())
    };
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let mut index: Value = serde_json::from_slice(&read("index.json")).unwrap();
    let mut own = index["manifests"][0].take();
    let (absent, size) = blob(b"{}");
    std::fs::remove_file(folder.path().join("blobs/sha256").join(&absent[7..])).unwrap();
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    own["platform"] = json!({"os": "linux", "architecture": architecture});
    let manifest = own["mediaType"].clone();
    let other = json!({
        "mediaType": manifest, "digest": absent, "size": size,
        "platform": {"os": "linux", "architecture": "s390x"},
    });
    let media_type = "application/vnd.oci.image.index.v1+json";
    let inner = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [other, own]});
    let (digest, size) = blob(inner.to_string().as_bytes());
    let described = json!({
        "mediaType": media_type, "digest": digest, "size": size,
        "annotations": {"org.opencontainers.image.ref.name": "ghcr.io/org/many:v1"},
    });
    index["manifests"] = json!([described]);
    std::fs::write(folder.path().join("index.json"), index.to_string()).unwrap();
    let mut packed = tar::Builder::new(Vec::new());
    packed.append_dir_all(".", folder.path()).unwrap();
    std::fs::write(dir.path().join("many.tar"), packed.into_inner().unwrap()).unwrap();

    let api = with_images(dir.path()).await;
    let import = imported(&api, of_image("ghcr.io/org/many:v1")).await;
    let vm = launch(&api, &import).await;
    assert_eq!(api.sh(&vm, "echo $A").await["stdout"], "found\n");
}
