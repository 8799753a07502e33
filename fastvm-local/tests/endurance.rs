//! Many VMs, many commands, a server killed under load: what is left of it afterwards, and what a
//! command and a launch cost.
//!
//! The figures are those of the binary, read from `/proc`: nothing of this test is counted with it.
//! All is one test, so that nothing runs beside what is measured.
//!
//! Unless told otherwise 2,000 commands run, which takes less than 25 seconds in a debug build. The full
//! figures are
//!
//! ```text
//! FASTVM_ENDURANCE=full cargo test -p fastvm-local --release --test endurance -- --nocapture
//! ```
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

const VMS: usize = 200;
const EXECS_AT_ONCE: usize = 64;

/// The first commands fill the server's pools and caches. From then on memory may not grow.
const EXECS_TO_WARM_UP: usize = 1000;

/// What the allocator may keep on top, for the moments in which more ran at once than before. A
/// leak of 1 KiB per command would be 9 MiB in the full run.
const MEMORY_BOUND_KIB: u64 = 8 * 1024;

/// What the documentation promises: a command takes at most so many times what a plain process
/// takes, and a launch at most so long.
const EXEC_PROMISE: f64 = 3.0;
const LAUNCH_PROMISE: Duration = Duration::from_millis(30);

/// How much more is let pass. Medians are printed; what must hold the promise is the fastest tenth:
/// if other programs keep all CPUs busy, a command waits for its turn more often than a plain process
/// does, since more threads have a part in it, and the median says more of them than of the server.
/// The margin of a debug build is for its HTTP and JSON, which are several times slower.
const MARGIN: f64 = if cfg!(debug_assertions) { 3.0 } else { 2.0 };

/// More than the end of anything here takes; idle threads of the server end after 10 seconds.
const PATIENCE: Duration = Duration::from_secs(30);

struct Load {
    execs: usize,
    vms_of_killed: usize,
}

impl Load {
    fn asked_for() -> Self {
        match std::env::var("FASTVM_ENDURANCE").as_deref() {
            Ok("full") => Self {
                execs: 10_000,
                vms_of_killed: VMS,
            },
            Ok(other) => panic!("FASTVM_ENDURANCE={other}: only \"full\" is known"),
            Err(_) => Self {
                execs: 2_000,
                vms_of_killed: 40,
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_endures_many_vms_and_commands_and_leaves_nothing_behind() {
    let load = Load::asked_for();
    let temporary = TempDir::new().unwrap();
    let server = Server::start(&temporary, None);
    let before = server.usage();

    costs_are_small(&server).await;
    no_command_fails_and_memory_stays(&server, load.execs).await;
    // Meanwhile the first server's idle threads end.
    a_killed_server_leaves_nothing(load.vms_of_killed, false).await;
    a_killed_server_leaves_nothing(load.vms_of_killed, true).await;
    nothing_more_is_used(&server, &before).await;

    assert_eq!(server.stop(), Some(0));
    assert_eq!(names(temporary.path()), [""; 0]);
}

async fn costs_are_small(server: &Server) {
    let client = server.client();
    let mut launches = Vec::new();
    for _ in 0..40 {
        let begin = Instant::now();
        let vm = client.launch().await;
        launches.push(begin.elapsed());
        client.delete(&vm).await;
    }

    let vm = client.launch().await;
    let command = json!({"command": ["true"]});
    let (mut execs, mut spawns) = (Vec::new(), Vec::new());
    // One after the other, so that both meet the same load of the machine.
    for _ in 0..200 {
        let begin = Instant::now();
        let output = Command::new("true").stdin(Stdio::null()).output().unwrap();
        spawns.push(begin.elapsed());
        assert!(output.status.success());

        let begin = Instant::now();
        let result = client.exec(&vm, &command).await.unwrap();
        execs.push(begin.elapsed());
        assert_eq!(result["exitCode"], 0, "{result}");
    }
    client.delete(&vm).await;

    for times in [&mut launches, &mut execs, &mut spawns] {
        times.sort_unstable();
    }
    let costs = |part| Costs {
        launch: within(&launches, part),
        exec: within(&execs, part),
        spawn: within(&spawns, part),
    };
    let fastest = costs(0.1);
    println!("medians: {}\nfastest tenth: {fastest}", costs(0.5));
    assert!(fastest.ratio() <= EXEC_PROMISE * MARGIN, "{fastest}");
    assert!(
        fastest.launch <= LAUNCH_PROMISE.mul_f64(MARGIN),
        "{fastest}"
    );
}

struct Costs {
    launch: Duration,
    exec: Duration,
    spawn: Duration,
}

impl Costs {
    fn ratio(&self) -> f64 {
        self.exec.as_secs_f64() / self.spawn.as_secs_f64()
    }
}

impl std::fmt::Display for Costs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            launch,
            exec,
            spawn,
        } = self;
        let ratio = self.ratio();
        write!(
            f,
            "launch {launch:.1?}, exec {exec:.2?}, plain spawn {spawn:.2?}, ratio {ratio:.2}"
        )
    }
}

/// The time that this part of them, which are sorted, keeps within.
fn within(times: &[Duration], part: f64) -> Duration {
    times[(times.len() as f64 * part) as usize]
}

async fn no_command_fails_and_memory_stays(server: &Server, execs: usize) {
    let client = server.client();
    let vms = client.launch_many(VMS).await;
    let begin = Instant::now();
    client.echo_in(&vms, 0..EXECS_TO_WARM_UP).await;
    let warm = server.usage();
    client.echo_in(&vms, EXECS_TO_WARM_UP..execs).await;
    let last = server.usage();
    let took = begin.elapsed();
    client.delete_many(vms).await;
    assert_eq!(client.get("/v1/vms").await, json!([]));

    println!(
        "{execs} execs in {VMS} VMs, {EXECS_AT_ONCE} at a time: {:.0}/s",
        execs as f64 / took.as_secs_f64()
    );
    println!("after {EXECS_TO_WARM_UP} execs: {warm}");
    println!("after {execs} execs: {last}");
    assert!(last.processes >= VMS, "the processes of VMs are seen");
    let growth = last.memory_kib.saturating_sub(warm.memory_kib);
    assert!(growth <= MEMORY_BOUND_KIB, "{warm}; then {last}");
}

async fn nothing_more_is_used(server: &Server, before: &Usage) {
    // What has a dot in front is the server's own.
    eventually("the folders of VMs go", || {
        ["vms", "trash"]
            .iter()
            .flat_map(|folder| names(&server.folder().join(folder)))
            .all(|name| name.starts_with('.'))
    })
    .await;
    let begin = Instant::now();
    let mut after = server.usage();
    while !after.is_within(before) {
        assert!(begin.elapsed() < PATIENCE, "before: {before}; now {after}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        after = server.usage();
    }
    println!("before: {before}\nin the end: {after}");
}

async fn a_killed_server_leaves_nothing(vms: usize, is_state_named: bool) {
    let temporary = TempDir::new().unwrap();
    let state = is_state_named.then(|| temporary.path().join("state"));
    let server = Server::start(&temporary, state.as_deref());
    let client = server.client();
    let vms = client.launch_many(vms).await;
    for vm in &vms {
        let background = json!({"command": ["sh", "-c", "sleep 9999 > /dev/null 2>&1 &"]});
        client.exec(vm, &background).await.unwrap();
    }

    let mut loads = JoinSet::new();
    let answered = Arc::new(AtomicUsize::new(0));
    for number in 0..EXECS_AT_ONCE {
        let (client, vm) = (client.clone(), vms[number % vms.len()].clone());
        let answered = Arc::clone(&answered);
        loads.spawn(async move {
            let command = json!({"command": ["sh", "-c", "echo x > /tmp/x; sleep 0.01"]});
            while client.exec(&vm, &command).await.is_ok() {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    // Launches are cut in the middle, too.
    loads.spawn(async move { while client.try_launch().await.is_ok() {} });
    eventually("the load is there", || {
        answered.load(Ordering::Relaxed) > 2 * EXECS_AT_ONCE
    })
    .await;

    let inside = server.pid_namespaces();
    let mark = temporary.path().file_name().unwrap().to_str().unwrap();
    assert!(inside.len() >= vms.len(), "the VMs are seen");
    assert!(is_mounted_anywhere(mark), "their mounts are seen");
    let (left, key) = (server.folder(), server.key.clone());
    server.kill();
    let begin = Instant::now();
    // A copy of the server on its way into a VM has the server's arguments still.
    eventually("all processes end", || {
        processes().all(|process| {
            let namespace = pid_namespace(process.pid);
            let is_inside = namespace.is_some_and(|namespace| inside.contains(&namespace));
            process.has_ended || !is_inside && !has_argument(process.pid, &key)
        })
    })
    .await;
    println!(
        "killed with {} VMs: all processes ended after {:.0?}",
        inside.len(),
        begin.elapsed()
    );
    eventually("all mounts go", || !is_mounted_anywhere(mark)).await;
    while loads.join_next().await.is_some() {}
    assert!(left.exists(), "a killed server cannot remove its folder");

    let next = Server::start(&temporary, state.as_deref());
    assert!(!left.exists(), "the next start does");
    assert!(next.folder().exists());
    let known = next.client().get("/v1/vms").await;
    let status = |path: &String| {
        let id = path.strip_prefix("/v1/vms/").unwrap();
        let mut known = known.as_array().unwrap().iter();
        known.find(|vm| vm["id"] == id).map(|vm| &vm["status"])
    };
    let expected = json!("stopped");
    let expected = is_state_named.then_some(&expected);
    assert!(vms.iter().all(|vm| status(vm) == expected), "{known}");
    assert_eq!(next.stop(), Some(0));
    let state = state.as_deref().unwrap_or(temporary.path());
    assert_eq!(servers_in(state), [""; 0]);
}

/// The binary, as it runs. It is killed if a test fails.
struct Server {
    child: Child,
    /// Where it and others make their folders.
    state: PathBuf,
    base_url: String,
    key: String,
}

impl Server {
    fn start(temporary: &TempDir, state: Option<&Path>) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let key = format!("endurance-{}-{number}", std::process::id());
        let mut command = Command::new(env!("CARGO_BIN_EXE_fastvm-local"));
        command
            .args(["--listen", "127.0.0.1:0", "--api-key", &key])
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(state) = state {
            command.arg("--state-dir").arg(state);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("the server starts").unwrap();
        let base_url = first.strip_prefix("export FASTVM_BASE_URL=").unwrap();
        let state = state.map(Path::to_owned).unwrap_or_else(|| {
            let made = names(temporary.path());
            assert_eq!(made.len(), 1, "{made:?}");
            temporary.path().join(&made[0])
        });
        Self {
            child,
            state,
            base_url: base_url.to_owned(),
            key,
        }
    }

    /// A client with connections of its own, which close when it and its clones are dropped.
    fn client(&self) -> Client {
        Client {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            base_url: self.base_url.clone(),
            key: self.key.clone(),
        }
    }

    fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    /// Its own folder.
    fn folder(&self) -> PathBuf {
        let own = format!("server-{}-", self.pid());
        let mut found = servers_in(&self.state);
        found.retain(|name| name.starts_with(&own));
        self.state.join(found.first().expect("the folder"))
    }

    fn usage(&self) -> Usage {
        let proc = PathBuf::from(format!("/proc/{}", self.pid()));
        let status = fs::read_to_string(proc.join("status")).unwrap();
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap().split_whitespace().next().unwrap().parse()
        };
        let mounts = fs::read_to_string(proc.join("mountinfo")).unwrap();
        Usage {
            processes: self.children().count(),
            mounts: mounts.lines().count(),
            descriptors: names(&proc.join("fd")).len(),
            threads: number("Threads:").unwrap(),
            memory_kib: number("VmRSS:").unwrap(),
        }
    }

    /// Also those that have ended and are not reaped.
    fn children(&self) -> impl Iterator<Item = Process> {
        let parent = self.pid();
        processes().filter(move |process| process.parent == parent)
    }

    /// Those of its VMs.
    fn pid_namespaces(&self) -> BTreeSet<u64> {
        let ours = pid_namespace(self.pid()).expect("the server runs");
        self.children()
            .filter_map(|child| pid_namespace(child.pid))
            .filter(|namespace| *namespace != ours)
            .collect()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its exit code.
    fn stop(mut self) -> Option<i32> {
        kill(Pid::from_raw(self.pid()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server has of this machine.
struct Usage {
    processes: usize,
    mounts: usize,
    descriptors: usize,
    threads: u64,
    memory_kib: u64,
}

impl Usage {
    /// Whether there is no more of anything but memory, which an allocator does not give back.
    fn is_within(&self, other: &Self) -> bool {
        self.processes <= other.processes
            && self.mounts <= other.mounts
            && self.descriptors <= other.descriptors
            && self.threads <= other.threads
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} child processes, {} mounts, {} descriptors, {} threads, {} KiB",
            self.processes, self.mounts, self.descriptors, self.threads, self.memory_kib
        )
    }
}

#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    base_url: String,
    key: String,
}

impl Client {
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.base_url);
        self.http
            .request(method, url)
            .header("X-API-Key", &self.key)
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().await.unwrap();
        response.json().await.unwrap()
    }

    async fn launch(&self) -> String {
        self.try_launch().await.unwrap()
    }

    /// Launches a VM; gives its path. An error if the server is gone.
    async fn try_launch(&self) -> reqwest::Result<String> {
        let body = json!({"machineType": "c1m2", "diskGiB": 1});
        let request = self.request(Method::POST, "/v1/vms").json(&body);
        let response = request.send().await?;
        let status = response.status();
        let vm: Value = response.json().await?;
        assert_eq!(status, 201, "{vm}");
        Ok(format!("/v1/vms/{}", vm["id"].as_str().unwrap()))
    }

    /// Runs a command to its end. An error if the server is gone.
    async fn exec(&self, vm: &str, body: &Value) -> reqwest::Result<Value> {
        let request = self.request(Method::POST, &format!("{vm}/exec"));
        let response = request.json(body).send().await?;
        let status = response.status();
        let result = response.json().await?;
        assert_eq!(status, 200, "{result}");
        Ok(result)
    }

    async fn delete(&self, vm: &str) {
        let response = self.request(Method::DELETE, vm).send().await.unwrap();
        assert_eq!(response.status(), 200);
    }

    async fn launch_many(&self, count: usize) -> Vec<String> {
        let mut vms = Vec::new();
        while vms.len() < count {
            let (first, second) = tokio::join!(self.launch(), self.launch());
            vms.extend([first, second]);
        }
        vms
    }

    async fn delete_many(&self, vms: Vec<String>) {
        let mut deletions = JoinSet::new();
        for vm in vms {
            let client = self.clone();
            deletions.spawn(async move { client.delete(&vm).await });
        }
        deletions.join_all().await;
    }

    /// Echoes each number in one of the VMs, many at a time; all must come back.
    async fn echo_in(&self, vms: &[String], numbers: std::ops::Range<usize>) {
        let numbers = Arc::new(std::sync::Mutex::new(numbers));
        let vms: Arc<[String]> = vms.into();
        let mut workers = JoinSet::new();
        for _ in 0..EXECS_AT_ONCE {
            let (client, vms, numbers) = (self.clone(), Arc::clone(&vms), Arc::clone(&numbers));
            workers.spawn(async move {
                let next = || numbers.lock().unwrap().next();
                while let Some(number) = next() {
                    let command = json!({"command": ["echo", number.to_string()]});
                    let vm = &vms[number % vms.len()];
                    let result = client.exec(vm, &command).await.unwrap();
                    assert_eq!(result["exitCode"], 0, "{result}");
                    assert_eq!(result["stdout"], format!("{number}\n"), "{result}");
                }
            });
        }
        workers.join_all().await;
    }
}

struct Process {
    pid: i32,
    parent: i32,
    /// Only its parent has not taken note yet.
    has_ended: bool,
}

/// All processes of this machine now.
fn processes() -> impl Iterator<Item = Process> {
    names(Path::new("/proc")).into_iter().filter_map(|name| {
        let pid = name.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses and may contain anything.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let has_ended = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        Some(Process {
            pid,
            parent,
            has_ended,
        })
    })
}

/// `None` if the process has ended.
fn pid_namespace(pid: i32) -> Option<u64> {
    let namespace = fs::metadata(format!("/proc/{pid}/ns/pid")).ok()?;
    Some(namespace.st_ino())
}

fn has_argument(pid: i32, argument: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0)
        .any(|found| found == argument.as_bytes())
}

/// Whether any process of this machine sees a mount with this in its paths.
fn is_mounted_anywhere(path_part: &str) -> bool {
    processes().any(|process| {
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", process.pid));
        mounts.is_ok_and(|mounts| mounts.contains(path_part))
    })
}

/// The folders of servers in a state directory.
fn servers_in(state: &Path) -> Vec<String> {
    let mut found = names(state);
    found.retain(|name| name.starts_with("server-"));
    found
}

/// What is in a directory; nothing if it is gone.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
