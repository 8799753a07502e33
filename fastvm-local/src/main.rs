//! The FastVM API on this machine, from the command line.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use fastvm_local::{Fault, Quota, Server};
use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::format::{DefaultVisitor, FormatFields, Writer};

/// The FastVM API as a server on this machine, each VM a real, isolated process environment.
#[derive(Debug, Parser)]
#[command(version, after_long_help = GUIDE)]
struct Options {
    /// Loopback address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,

    /// Let --listen be an address that other machines reach; needs --api-key.
    ///
    /// Whoever reaches the server and has the key runs commands on this machine, and the key crosses
    /// the network readable. With 0.0.0.0 or [::] signed storage URLs say 127.0.0.1 or [::1], where
    /// VMs reach them: for other machines to move files, listen on this machine's own address.
    #[arg(long, requires = "api_key")]
    allow_remote: bool,

    /// Where clients reach the server if not at its address [default: http://ADDRESS:PORT].
    ///
    /// For a server behind a proxy or a mapped port. Signed storage URLs begin with it, so VMs have
    /// to reach it, too.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,

    /// API key that clients must send [default: a random one].
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,

    /// How long a VM stays `provisioning`, such as 300ms or 2s.
    ///
    /// Without it a launch answers when the VM runs. With it a launch answers at once and clients
    /// have to poll, as in the cloud.
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    boot_delay: Duration,

    /// Directory for all that the server keeps [default: a temporary one].
    ///
    /// What is kept in a directory named here is there again at the next start, for one server at a
    /// time: volumes, SSH keys, the records of VMs. It must not be on a file system mounted noexec, nor in a directory that VMs see (/usr).
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,

    /// Directory of the images that snapshots are imported from.
    ///
    /// No registry is ever asked: an import of `python:3.13-slim` finds the image here, where
    /// `docker save python:3.13-slim -o DIRECTORY/python.tar` (or podman) has put it, be it while the
    /// server runs. The directory holds such archives (.tar, .tar.gz, .tgz) and OCI image layouts, as
    /// folders or packed. An import of `local/base` needs none: it is what a VM without an image starts
    /// from.
    #[arg(long, value_name = "DIRECTORY")]
    images: Option<PathBuf>,

    /// Directory of folders that stand in for buckets [default: there are none].
    ///
    /// A bucket mount of gs://data/runs is the folder gs/data/runs in it, one of s3://data the folder
    /// s3/data. The folder of a bucket must be there; prefixes are made. Credentials are checked for
    /// their form only.
    #[arg(long, value_name = "DIRECTORY")]
    buckets: Option<PathBuf>,

    /// Limits of the org, each unless told a large one.
    ///
    /// The keys are vcpu, memory-mib, disk-gib, snapshot-count, volume-count and volume-gib. A
    /// request that goes beyond a limit is refused with 403.
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = limit)]
    quota: Vec<Limit>,

    /// How the log on stderr is written: for people, or as a JSON object per line.
    #[arg(long, value_name = "FORM", default_value = "text")]
    log: LogForm,

    /// JSON file with a list of faults, as `POST /_local/faults` takes it.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,

    /// What the `probability` of faults goes by.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    fault_seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogForm {
    Text,
    Json,
}

const GUIDE: &str = "\
Examples:
  $ fastvm-local --api-key dev
  export FASTVM_BASE_URL=http://127.0.0.1:8787
  export FASTVM_API_KEY=dev

  $ export FASTVM_BASE_URL=http://127.0.0.1:8787 FASTVM_API_KEY=dev    # in another shell
  $ curl -s -H \"X-API-Key: $FASTVM_API_KEY\" $FASTVM_BASE_URL/v1/vms --json '{\"machineType\":\"c1m2\"}'

  Launches that have to be polled, and an org that is soon full:
  $ fastvm-local --api-key dev --boot-delay 2s --quota vcpu=4,volume-count=2

  For the other machines of a network that can be trusted:
  $ fastvm-local --listen 192.168.1.5:8787 --allow-remote --api-key \"$(openssl rand -hex 16)\"

  With volumes, keys and records of VMs that are there again at the next start:
  $ fastvm-local --api-key dev --state-dir ~/.local/share/fastvm-local

  With an image that snapshots can be imported from:
  $ mkdir images && docker save python:3.13-slim -o images/python.tar
  $ fastvm-local --api-key dev --images images
  $ curl -s -H \"X-API-Key: $FASTVM_API_KEY\" $FASTVM_BASE_URL/v1/snapshot-imports \\
      --json '{\"source\":{\"type\":\"image\",\"image\":\"python:3.13-slim\"}}'

  The slow requests of a log:
  $ fastvm-local --log json 2> log; jq -r 'select(.\"http.ms\" > 100) | .message' log

Each request is a line on stderr. Ctrl-C stops the server, ends its VMs and removes what was temporary.
VMs share the network of this machine. They keep programs apart that mean well: do not run code
in them that you would not run in a container.";

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    start_log(options.log);
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fastvm-local: {}", in_one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    // From here on a signal does not kill: it is answered with a clean stop.
    let mut stop_signals = StopSignals::listen()?;
    let mut server = Server::builder()
        .listen(options.listen)
        .allow_remote(options.allow_remote)
        .boot_delay(options.boot_delay)
        .quota(quota(&options.quota));
    if let Some(url) = options.public_url {
        server = server.public_url(url);
    }
    if let Some(key) = options.api_key {
        server = server.api_key(key);
    }
    if let Some(path) = options.buckets {
        server = server.buckets(path);
    }
    if let Some(path) = options.state_dir {
        server = server.state_dir(path);
    }
    if let Some(path) = options.images {
        server = server.images(path);
    }
    server = server.fault_seed(options.fault_seed);
    if let Some(path) = options.faults {
        for fault in read_faults(&path)? {
            server = server.fault(fault);
        }
    }
    let server = server.start().await?;
    print_exports(&server);
    stop_signals.next().await;
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}

fn start_log(form: LogForm) {
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false);
    match form {
        LogForm::Text => log
            .with_ansi(std::io::stderr().is_terminal())
            .fmt_fields(Readable)
            .init(),
        LogForm::Json => log.json().flatten_event(true).init(),
    }
}

/// The usual form of an event, but for the fields of a request, which its message says already.
struct Readable;

impl<'writer> FormatFields<'writer> for Readable {
    fn format_fields<R: RecordFields>(
        &self,
        writer: Writer<'writer>,
        fields: R,
    ) -> std::fmt::Result {
        let mut usual = DefaultVisitor::new(writer, true);
        fields.record(&mut WithoutRequest(&mut usual));
        usual.finish()
    }
}

struct WithoutRequest<'a, 'writer>(&'a mut DefaultVisitor<'writer>);

impl Visit for WithoutRequest<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if !is_of_request(field) {
            self.0.record_str(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.0.record_error(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if !is_of_request(field) {
            self.0.record_debug(field, value);
        }
    }
}

fn is_of_request(field: &Field) -> bool {
    field.name().starts_with("http.")
}

fn read_faults(path: &Path) -> Result<Vec<Fault>, String> {
    let named = |error: &dyn Error| format!("{}: {error}", path.display());
    let json = std::fs::read(path).map_err(|error| named(&error))?;
    serde_json::from_slice(&json).map_err(|error| named(&error))
}

/// Whoever started the server may have closed the pipe: that is no reason to fail.
fn print_exports(server: &Server) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "export FASTVM_BASE_URL={}", server.base_url());
    let _ = writeln!(stdout, "export FASTVM_API_KEY={}", quoted(server.api_key()));
    let _ = stdout.flush();
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    let is_plain = word
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_plain {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// An error and its causes. The way out that a cause has is already in the error's own text.
fn in_one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let milliseconds_per_unit = match &text[digits.len()..] {
        "ms" => 1.0,
        "s" => 1000.0,
        "m" => 60_000.0,
        _ => return Err("give a number and a unit: ms, s or m".to_owned()),
    };
    let number: f64 = digits
        .parse()
        .map_err(|_| format!("{digits:?} is not a number"))?;
    Duration::try_from_secs_f64(number * milliseconds_per_unit / 1000.0)
        .map_err(|error| error.to_string())
}

/// A limit of the org and its value.
#[derive(Clone, Copy, Debug)]
struct Limit {
    of: LimitOf,
    value: i64,
}

/// Which of a quota's limits.
type LimitOf = fn(&mut Quota) -> &mut i64;

/// The limits as the command line names them.
const LIMITS: [(&str, LimitOf); 6] = [
    ("vcpu", |quota| &mut quota.vcpu),
    ("memory-mib", |quota| &mut quota.memory_mib),
    ("disk-gib", |quota| &mut quota.disk_gib),
    ("snapshot-count", |quota| &mut quota.snapshot_count),
    ("volume-count", |quota| &mut quota.volume_count),
    ("volume-gib", |quota| &mut quota.volume_gib),
];

fn limit(text: &str) -> Result<Limit, String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("give a key and a value, such as vcpu=4")?;
    let known = LIMITS.iter().find(|(name, _)| *name == key);
    let (_, of) = known.ok_or_else(|| {
        let names = LIMITS.map(|(name, _)| name).join(", ");
        format!("{key:?} is none of {names}")
    })?;
    let number = value.parse().ok().filter(|number| *number >= 0);
    let value =
        number.ok_or_else(|| format!("{key}: {value:?} is not a whole number from 0 on"))?;
    Ok(Limit { of: *of, value })
}

fn quota(limits: &[Limit]) -> Quota {
    let mut quota = Quota::default();
    for limit in limits {
        *(limit.of)(&mut quota) = limit.value;
    }
    quota
}

#[cfg(unix)]
struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
