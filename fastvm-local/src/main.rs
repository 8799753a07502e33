//! The FastVM API on this machine, from the command line.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use fastvm_local::Server;

/// The FastVM API as a server on this machine, each VM a real, isolated process environment.
#[derive(Debug, Parser)]
#[command(version, after_long_help = GUIDE)]
struct Options {
    /// Loopback address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,

    /// API key that clients must send [default: a random one].
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,

    /// How long a VM stays `provisioning`, such as 300ms or 2s.
    ///
    /// Without it a launch answers when the VM runs. With it a launch answers at once and clients
    /// have to poll, as in the cloud.
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    boot_delay: Duration,

    /// Directory for VMs and uploads [default: a temporary one].
    ///
    /// It must not be on a file system mounted noexec, nor in a directory that VMs see (/usr).
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
}

const GUIDE: &str = "\
Example:
  $ fastvm-local --api-key dev
  export FASTVM_BASE_URL=http://127.0.0.1:8787
  export FASTVM_API_KEY=dev

  $ export FASTVM_BASE_URL=http://127.0.0.1:8787 FASTVM_API_KEY=dev    # in another shell
  $ curl -s -H \"X-API-Key: $FASTVM_API_KEY\" $FASTVM_BASE_URL/v1/vms --json '{\"machineType\":\"c1m2\"}'

Each request is a line on stderr. Ctrl-C stops the server, ends its VMs and removes their files.
VMs share the network of this machine. They keep programs apart that mean well: do not run code
in them that you would not run in a container.";

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
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
        .boot_delay(options.boot_delay);
    if let Some(key) = options.api_key {
        server = server.api_key(key);
    }
    if let Some(path) = options.state_dir {
        server = server.state_dir(path);
    }
    let server = server.start().await?;
    print_exports(&server);
    stop_signals.next().await;
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
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
