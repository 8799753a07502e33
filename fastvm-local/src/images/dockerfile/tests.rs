//! Whole builds, in real VMs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::context::tests::archive;
use super::*;
use crate::images::{Image, Images};
use crate::sandbox::{ExecSpec, Host, LaunchSpec, PATH, RootKind};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

struct Builder {
    place: tempfile::TempDir,
    host: Host,
    images: Arc<Images>,
    spec: DockerfileSpec,
    said: Arc<Mutex<Vec<String>>>,
    cancel: CancellationToken,
}

impl Builder {
    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let host = Host::probe(place.path().join("state")).await.unwrap();
        let images = Images::new(&host, host.root_of(".images"), None).unwrap();
        Self {
            place,
            host,
            images: Arc::new(images),
            spec: DockerfileSpec::default(),
            said: Arc::default(),
            cancel: CancellationToken::new(),
        }
    }

    fn arg(mut self, name: &str, value: &str) -> Self {
        let args = &mut self.spec.build_args;
        args.insert(name.to_owned(), value.to_owned());
        self
    }

    fn target(mut self, target: &str) -> Self {
        self.spec.target = Some(target.to_owned());
        self
    }

    async fn build(
        &self,
        dockerfile: &str,
        files: &[(&str, &str, u32)],
    ) -> Result<Image, BuildError> {
        let mut all = vec![("Dockerfile", dockerfile, 0o644)];
        all.extend(files);
        self.build_zip(&archive(&all)).await
    }

    async fn build_zip(&self, zip: &[u8]) -> Result<Image, BuildError> {
        let context = self.place.path().join("context.zip");
        std::fs::write(&context, zip).unwrap();
        let said = Arc::clone(&self.said);
        let progress = move |event: crate::images::ImportEvent| {
            said.lock().unwrap().extend(event.message);
        };
        let cancel = self.cancel.clone();
        build(
            &context,
            &self.spec,
            &self.images,
            &self.host,
            progress,
            cancel,
        )
        .await
    }

    async fn fails(&self, dockerfile: &str, files: &[(&str, &str, u32)]) -> String {
        let error = self.build(dockerfile, files).await.unwrap_err().to_string();
        self.is_clean().await;
        error
    }

    /// What a command in a VM of the image writes.
    async fn output(&self, image: &Image, line: &str) -> String {
        let mut spec = LaunchSpec::new(uuid::Uuid::new_v4().to_string(), "test");
        spec.source = Some(Arc::clone(&image.tree));
        if image.has_own_root {
            spec.root = RootKind::Own;
        }
        let vm = self.host.launch(spec).await.unwrap();
        let mut command = ExecSpec::new(["sh", "-c", line]);
        command.env = image.config.env.clone();
        command.cwd = image.config.workdir.clone();
        command.user = image.config.user.clone();
        let mut process = vm.exec(command).await.unwrap();
        let mut text = String::new();
        let mut stdout = process.stdout.take().unwrap();
        stdout.read_to_string(&mut text).await.unwrap();
        vm.remove().await.unwrap();
        text
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// Waits until nothing but the base is left, and no VM.
    async fn is_clean(&self) {
        let folders = |path: PathBuf| -> Vec<String> {
            let entries = std::fs::read_dir(path).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect()
        };
        let images = self.host.root_of(".images");
        let roots = images.parent().unwrap();
        let begin = Instant::now();
        loop {
            let (left, vms) = (folders(images.clone()), folders(roots.to_owned()));
            if left == ["base"] && vms == [".images"] {
                return;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "{left:?} {vms:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn text(image: &Image, path: &str) -> String {
    let path = image.tree.path().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn a_build_of_stages_takes_from_one_what_another_has_made() {
    let builder = Builder::new().await.arg("WHO", "world").arg("UNUSED", "x");
    let dockerfile = r#"# syntax=docker/dockerfile:1
ARG BASE=local/base
FROM ${BASE} AS build
ARG WHO=nobody
ARG TARGETOS
ENV GREETING="hello, ${WHO}" UNSET=${NOTHING:-default}
WORKDIR /src
COPY src/ .
RUN printf '%s/%s/%s' "$GREETING" "$WHO" "$TARGETOS" > out \
    # a comment in between
    && pwd >> out && cat run.sh >> out
RUN ["sh", "-c", "echo from a list >> out"]

FROM scratch AS unused
COPY nothing-like-this /

FROM local/base
ENV PATH=/opt/tools:$PATH
COPY --from=build --chmod=600 /src/out /data/
COPY --from=0 /src/run.sh /opt/tools/run
LABEL org.example.a=1 org.example.b="two words"
EXPOSE 80 8000-8001/udp
WORKDIR /data
ENTRYPOINT ["/opt/tools/run"]
CMD echo $PATH
"#;
    let files = [
        ("src/run.sh", "#!/bin/sh\necho ran in $(pwd)\n", 0o755),
        ("src/skip.log", "", 0o644),
        (".dockerignore", "**/*.log", 0o644),
    ];
    let image = builder.build(dockerfile, &files).await.unwrap();
    let expected = "hello, world/world/linux/src\n#!/bin/sh\necho ran in $(pwd)\nfrom a list\n";
    assert_eq!(text(&image, "data/out"), expected);
    assert!(!image.has_own_root);
    assert!(!image.tree.path().join("src").exists());
    let config = &image.config;
    assert_eq!(config.workdir.as_deref(), Some("/data"));
    assert_eq!(config.env["PATH"], format!("/opt/tools:{PATH}"));
    assert_eq!(config.entrypoint, ["/opt/tools/run"]);
    assert_eq!(config.cmd, ["/bin/sh", "-c", "echo $PATH"]);
    assert_eq!(config.labels["org.example.b"], "two words");
    let ports = config.exposed_ports.iter().map(String::as_str);
    assert_eq!(
        ports.collect::<Vec<_>>(),
        ["80/tcp", "8000/udp", "8001/udp"]
    );
    assert_eq!(
        builder.output(&image, "/opt/tools/run").await,
        "ran in /data\n"
    );
    let said = builder.said();
    assert!(said.contains("[build 6/8] COPY src/ ."), "{said}");
    assert!(
        said.contains("warning: no ARG asks for the build argument UNUSED"),
        "{said}"
    );
    drop(image);
    builder.is_clean().await;
}

#[tokio::test]
async fn a_target_is_built_without_what_comes_after_it() {
    let dockerfile =
        "FROM local/base AS a\nRUN echo a > /a\nFROM a AS b\nRUN echo b > /b\nRUN exit 1";
    let builder = Builder::new().await.target("a");
    let image = builder.build(dockerfile, &[]).await.unwrap();
    assert_eq!(text(&image, "a"), "a\n");
    assert!(!image.tree.path().join("b").exists());
}

#[tokio::test]
async fn a_stage_goes_on_from_another_and_leaves_it_as_it_was() {
    let dockerfile = "FROM local/base AS a\nENV X=1\nARG Y=2\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN echo a > /a\n\
        FROM a AS b\nRUN false; echo not reached\nFROM a\nRUN echo $X $Y >> /a\nCOPY --from=a /a /before";
    let builder = Builder::new().await;
    let image = builder.build(dockerfile, &[]).await.unwrap();
    assert_eq!(
        (text(&image, "a"), text(&image, "before")),
        ("a\n1 2\n".into(), "a\n".into())
    );
    drop(image);
    let failed = builder.target("b");
    let error = failed.fails(dockerfile, &[]).await;
    assert_eq!(
        error,
        "Dockerfile line 7, RUN: the command ended with exit code 1"
    );
}

#[tokio::test]
async fn here_documents_are_commands_scripts_and_files() {
    let dockerfile = "FROM local/base\nENV X=value\nRUN <<EOF\nset -e\necho one > /out\n\
        echo \"$X\" >> /out\nEOF\nRUN <<EOF\n#!/usr/bin/env -S sh -e\necho $0 >> /out\nEOF\n\
        RUN cat <<'EOF' >> /out\n$X\nEOF\nCOPY <<EOF <<\"raw\" /etc/app/\n[$X]\nEOF\n$X\nraw\n";
    let builder = Builder::new().await;
    let image = builder.build(dockerfile, &[]).await.unwrap();
    let out = text(&image, "out");
    let lines: Vec<&str> = out.lines().collect();
    let [one, value, script, raw] = &lines[..] else {
        panic!("{out}");
    };
    assert_eq!((*one, *value, *raw), ("one", "value", "$X"));
    assert!(script.starts_with("/.build-"));
    assert!(!image.tree.path().join(&script[1..]).exists());
    assert_eq!(text(&image, "etc/app/EOF"), "[value]\n");
    assert_eq!(text(&image, "etc/app/raw"), "$X\n");
}

#[tokio::test]
async fn commands_run_as_their_user_and_files_belong_to_whom_they_shall() {
    let dockerfile = "FROM local/base\nUSER daemon\nENV ME=x\nRUN echo $USER $HOME > /tmp/me; id -u >> /tmp/me\n\
        COPY --chown=www-data:1 file /var/file\nWORKDIR /work\nRUN echo $PWD >> /tmp/me";
    let builder = Builder::new().await;
    let file = [("file", "text", 0o644)];
    let image = builder.build(dockerfile, &file).await.unwrap();
    let is_root = nix::unistd::geteuid().is_root();
    let uid = if is_root { 1 } else { 0 };
    assert_eq!(
        text(&image, "tmp/me"),
        format!("daemon /usr/sbin\n{uid}\n/work\n")
    );
    assert_eq!(image.config.user.as_deref(), Some("daemon"));
    if is_root {
        let found = |path: &str| std::fs::metadata(image.tree.path().join(path)).unwrap();
        let owner = |path: &str| {
            use std::os::unix::fs::MetadataExt;
            (found(path).uid(), found(path).gid())
        };
        assert_eq!((owner("var/file"), owner("work")), ((33, 1), (1, 1)));
    }
    let unknown = "FROM local/base\nCOPY --chown=nobody-here file /";
    let error = builder.build(unknown, &file).await.unwrap_err().to_string();
    assert!(
        error.starts_with("Dockerfile line 2, COPY: nobody-here: "),
        "{error}"
    );
    let unknown = "FROM local/base\nUSER nobody-here\nRUN true";
    let error = builder.build(unknown, &[]).await.unwrap_err().to_string();
    assert!(
        error.starts_with("Dockerfile line 3, RUN: nobody-here: "),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_the_hosts_is_neither_covered_nor_copied() {
    let builder = Builder::new().await;
    let dockerfile = "FROM local/base AS a\nRUN echo a > /a\nFROM local/base\nCOPY --from=a / /";
    let image = builder.build(dockerfile, &[]).await.unwrap();
    assert_eq!(
        builder
            .output(&image, "cat /a; test -x /usr/bin/env && echo there")
            .await,
        "a\nthere\n"
    );
    let files = [("rootfs/usr/lib/x", "", 0o644), ("rootfs/opt/y", "", 0o644)];
    let dockerfile = "FROM local/base\nCOPY rootfs/ /";
    let error = builder
        .build(dockerfile, &files)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("COPY: /usr is the host's in what is made of local/base"),
        "{error}"
    );
}

#[tokio::test]
async fn scratch_is_empty_and_needs_no_program() {
    let builder = Builder::new().await;
    let file = [("file", "text", 0o640)];
    let image = builder
        .build(
            "FROM scratch\nWORKDIR /a/b\nCOPY file ./\nWORKDIR /\nCMD [\"/run\"]",
            &file,
        )
        .await
        .unwrap();
    assert!(image.has_own_root);
    assert_eq!(text(&image, "a/b/file"), "text");
    assert_eq!(image.config.cmd, ["/run"]);
    assert_eq!(image.config.workdir.as_deref(), Some("/"));
    let error = builder
        .build("FROM scratch\nRUN x", &[])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("Dockerfile line 2, RUN: /bin/sh: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_diagnostic_names_file_line_and_instruction_and_nothing_is_left() {
    let builder = Builder::new().await;
    for (dockerfile, expected) in [
        (
            "FROM local/base\nRUN echo one; echo two >&2; exit 7",
            "Dockerfile line 2, RUN: the command ended with exit code 7: ",
        ),
        (
            "FROM local/base\n\nCOPY a \\\n  missing /x/",
            "Dockerfile line 3, COPY: there is no a",
        ),
        (
            "FROM local/base\nRUN true\nCOPY --from=0 a /",
            "line 3, COPY: --from=0 is not an earlier stage",
        ),
        ("FROM no/such:image", "Dockerfile line 1, FROM: "),
        (
            "FROM local/base\nFETCH x",
            "Dockerfile line 2, FETCH: there is no such instruction",
        ),
        (
            "FROM local/base\nCOPY Dockerfile /usr/local/bin/",
            "COPY: /usr/local/bin/Dockerfile is the host's in what is made of local/base",
        ),
        (
            "FROM local/base\nCOPY --from=local/base /usr/bin/env /x",
            "COPY: /usr/bin/env is the host's",
        ),
        (
            "FROM local/base\nCOPY --chmod=rwx Dockerfile /",
            "--chmod=rwx is not supported",
        ),
        (
            "FROM local/base\nENV X=${Y?must}",
            "Dockerfile line 2, ENV: Y: must",
        ),
        ("FROM local/base\nEXPOSE 70000", "70000 is no port"),
        (
            "FROM local/base\nWORKDIR /etc/passwd/x",
            "line 2, WORKDIR: /etc/passwd/x cannot be made",
        ),
    ] {
        let error = builder.fails(dockerfile, &[]).await;
        assert!(error.contains(expected), "{dockerfile}: {error}");
        assert!(!error.contains('\n'));
        assert!(
            !error.contains(&*builder.place.path().to_string_lossy()),
            "{error}"
        );
    }
    let error = builder
        .fails("FROM local/base\nRUN echo one; echo two >&2; exit 7", &[])
        .await;
    assert!(error.contains("one") && error.contains("two"), "{error}");
    let error = builder
        .fails("FROM local/base", &[("../x", "", 0o644)])
        .await;
    assert!(error.contains("outside"), "{error}");
}

#[tokio::test]
async fn the_name_of_a_here_document_is_no_path() {
    let builder = Builder::new().await;
    for name in ["../../../../../../../../tmp/x", "a/b", "..", "."] {
        let dockerfile = format!("FROM scratch\nCOPY <<\"{name}\" /a/\ntext\n{name}\n");
        let error = builder.fails(&dockerfile, &[]).await;
        assert!(
            error.contains("COPY: this is not the name of a file"),
            "{name}: {error}"
        );
    }
}

#[tokio::test]
async fn the_dockerfile_can_be_elsewhere_in_the_context_and_nowhere_else() {
    let mut builder = Builder::new().await;
    let files = [
        ("docker/app", "FROM scratch\nCOPY . /", 0o644),
        ("docker/app.dockerignore", "Dockerfile\n", 0o644),
        (".dockerignore", "docker", 0o644),
        ("x", "x", 0o644),
    ];
    builder.spec.path = "docker/app".to_owned();
    let image = builder.build("no such thing", &files).await.unwrap();
    let has = |path: &str| image.tree.path().join(path).exists();
    assert!(has("x") && has("docker/app") && !has("Dockerfile"));
    drop(image);
    for (path, expected) in [
        ("../x", "leads out of the context"),
        ("/etc/passwd", "leads out of the context"),
        ("missing", "the context has no file missing"),
        ("docker", "the context has no file docker"),
    ] {
        builder.spec.path = path.to_owned();
        let error = builder.fails("", &files).await;
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_build_that_is_cancelled_in_a_command_leaves_nothing() {
    let builder = Builder::new().await;
    let dockerfile = "FROM local/base\nRUN echo it runs; sleep 9999";
    let cancel = builder.cancel.clone();
    let said = Arc::clone(&builder.said);
    let begun = async {
        while !said
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains("it runs") && !line.contains("RUN"))
        {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (built, ()) = tokio::join!(builder.build(dockerfile, &[]), begun);
    assert!(matches!(built, Err(BuildError::Cancelled)), "{built:?}");
    builder.is_clean().await;
}

#[tokio::test]
async fn a_build_that_is_dropped_in_a_command_leaves_nothing() {
    let builder = Builder::new().await;
    let said = Arc::clone(&builder.said);
    let begun = async {
        while !said
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains("it runs") && !line.contains("RUN"))
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        built = builder.build("FROM local/base\nRUN echo it runs; sleep 9999", &[]) => {
            panic!("{built:?}");
        }
        () = begun => {}
    }
    builder.is_clean().await;
}

#[tokio::test]
async fn what_a_command_leaves_in_the_background_ends_with_it() {
    let builder = Builder::new().await;
    let seconds = format!("9999.{}7", std::process::id());
    let dockerfile = format!("FROM local/base\nRUN sleep {seconds} & echo $! > /pid");
    let image = builder.build(&dockerfile, &[]).await.unwrap();
    assert!(!text(&image, "pid").is_empty());
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let mut words = lines.flat_map(|line| {
        line.split(|byte| *byte == 0)
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>()
    });
    assert!(!words.any(|word| word == seconds.as_bytes()));
}

#[test]
fn nothing_of_the_server_is_in_what_a_user_sees() {
    let error = BuildError::server("do it", std::io::Error::other("/secret/path"));
    assert_eq!(error.to_string(), "the server could not do it");
    let mut spec = DockerfileSpec::default();
    let args = &mut spec.build_args;
    args.insert("TOKEN".to_owned(), "secret".to_owned());
    let text = format!("{spec:?}");
    assert!(text.contains("TOKEN") && !text.contains("secret"));
    assert!(Path::new(&spec.path).is_relative());
}
