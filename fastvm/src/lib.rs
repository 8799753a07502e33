//! The FastVM SDK: launch microVMs, run commands in them, work with their files.
//!
//! ```
//! use fastvm::Client;
//! use tokio::io::{AsyncBufReadExt, BufReader};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #   let server = fastvm_local::Server::start().await?;
//! #   let folder = tempfile::tempdir()?;
//! # /*
//!     let client = Client::from_env()?; // FASTVM_API_KEY, FASTVM_BASE_URL
//! # */
//! #   let client = Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
//!     let vm = client.vms().launch("c1m2").name("dev").await?; // waits until it runs
//!
//!     vm.upload("./src", "/root/src").await?; // a file, or a folder with all in it
//!     vm.fs().write("/root/greeting", "hello\n").await?; // as in tokio::fs
//!
//!     let list = vm.command("ls").arg("-l").current_dir("/root/src"); // as in tokio::process
//!     let out = list.output().await?.ensure_success()?;
//!     println!("{}", String::from_utf8_lossy(&out.stdout));
//!
//!     let mut child = vm.shell("for i in 1 2 3; do echo $i; sleep 0.1; done | tee n").spawn().await?;
//!     let mut lines = BufReader::new(child.stdout.take().expect("not taken yet")).lines();
//!     while let Some(line) = lines.next_line().await? {
//!         println!("{line}"); // as it comes
//!     }
//!     child.wait().await?.ensure_success()?;
//!     assert_eq!(vm.fs().read_to_string("/root/n").await?, "1\n2\n3\n");
//!
//! # /*
//!     vm.download("/root/src", "./back").await?;
//! # */
//! #   vm.download("/root/src", folder.path().join("back")).await?;
//!     vm.delete().await?; // `launch(..).await?.into_guard()` deletes it in any case
//!     Ok(())
//! }
//! ```
//!
//! [`Client`] is the way in, a [`Vm`] what a launch gives. From here:
//!
//! - The [guide] goes through it all, a chapter for each job, with what it costs and how it fails:
//!   begin with [getting started](guide::getting_started). Its table has [every operation](guide::operations).
//! - [`Vm::command`] and [`Vm::shell`] run commands, [`Vm::fs`] has the files, [`Vm::upload`] and
//!   [`Vm::download`] move folders. [`Vm::run`] and [`Vm::stream`] are the operation itself.
//! - More at hand: [ports](Vm::expose), [firewalls](Firewall), [snapshots](Vm::snapshot),
//!   [forks](Vm::fork), [many launches](Vms::launch_many),
//!   [image builds](SnapshotImports::build_dockerfile), [volumes](Vm::attach_volume),
//!   [bucket logins](credentials), [SSH keys](SshKeys::add_file).
//! - Without an account: `cargo run -p fastvm-local` serves the API on a Linux machine, and prints the
//!   two variables that [`Client::from_env`] reads. See [testing](guide::testing).
//!
//! Every operation of the API is at its published place, also those that this crate adds nothing to:
//! `client.snapshots().list()`, `vm.services().register("web", 8080)`. [`Client`] and [`Vm`] deref to
//! the generated tree of [`fastvm_api`] for that.
//!
//! # What holds everywhere
//!
//! - A builder does nothing until it is awaited; `.send().await` gives status and headers, too.
//! - An operation that is not safe to repeat is sent once, and again only if it provably never left.
//!   [`Error::outcome`] says what is known of a failed call's side effects.
//! - A launch that fails or is dropped leaves no VM behind, and one whose answer was lost is found
//!   again: see [`Vms::launch`]. [`Vm::into_guard`] deletes a VM at the end of a scope, and
//!   [`Vm::lease`] when its client is no more.
//! - A transfer is whole, or an error that names the path; it leaves nothing half-written.
//! - A stream ends with the command's exit or with an error, never in silence.
//! - Keys, signed URLs, credentials and environment values are in no error and no `Debug` output.
//!
//! # Features
//!
//! Only `ring` is on by default.
//!
//! - `ring`: the cryptography of TLS, where the program has not chosen another for its process. The
//!   first connection is made some 25 ms sooner than with the next, and builds are shorter.
//! - `aws-lc-rs`: the same by aws-lc-rs, which has post-quantum key exchange. It is used where `ring` is
//!   off. Without it, a program that uses reqwest itself, but without TLS, has to install a provider
//!   of rustls: reqwest knows TLS then, and panics without one.
//! - `blocking`: `.call()` in place of `.await`, and iterators in place of streams, for programs
//!   without async code: `fastvm::blocking`.
//! - `console`: `vm.console()`, a terminal in a VM as `AsyncRead + AsyncWrite`. Adds
//!   `tokio-tungstenite`.
//! - `schemars`: JSON schemas of every request and answer type, and `fastvm::tools`, the arguments of
//!   the tools that an agent needs.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod again;
#[cfg(feature = "blocking")]
pub mod blocking;
mod cleanup;
mod client;
mod command;
mod connector;
#[cfg(feature = "console")]
mod console;
pub mod credentials;
mod exec;
mod firewall;
mod fs;
mod guard;
pub mod guide;
mod handover;
mod idle;
mod images;
mod launch;
mod lease;
mod network;
mod poll;
mod ports;
mod rescue;
mod retry;
mod scale;
mod secrets;
mod snapshot;
mod ssh_keys;
mod stream;
mod sweep;
mod tls;
#[cfg(feature = "schemars")]
pub mod tools;
mod trace;
mod transfer;
mod vm;
mod vms;
mod volumes;

pub use client::{Client, ClientBuilder};
pub use command::{Child, ChildOutput, Command, ExitStatus, Signal};
#[cfg(feature = "console")]
pub use console::{Console, OpenConsole};
pub use exec::{CommandLine, Output, Run};
pub use fastvm_api::{
    CallInfo, CallOptions, Cleanup, Error, ErrorKind, Operation, Outcome, Patch, ResponseValue,
    Result, Sending, Transport, types,
};
pub use firewall::{Firewall, Ports, Traffic};
pub use fs::{DirEntry, FileType, Fs, Metadata, RemotePath};
pub use guard::VmGuard;
pub use images::{BuildDockerfile, BuildImage, ImageBuild, SnapshotImports};
pub use launch::{LAUNCH_ID_KEY, Launch, WaitForVmReady};
pub use lease::{Lease, LeasedLaunch, TakeLease};
pub use ports::{Expose, WaitForHttp, WaitForPort};
pub use retry::RetryPolicy;
pub use scale::{Fork, ForkAll, LaunchAll, LaunchMany};
pub use snapshot::TakeSnapshot;
pub use ssh_keys::{AddFile, Me, SshKeys};
pub use stream::{
    ExecEvent, ExecStream, Exit, IncompleteOutput, Line, LineSource, Lines, Stream, StreamOutput,
};
pub use sweep::{Sweep, Swept};
pub use transfer::{Compression, Download, DownloadBytes, DownloadTo, Progress, Upload};
pub use vm::{Vm, Warnings};
pub use vms::Vms;
pub use volumes::{AttachVolume, CreateVolume, UpdateVolume, Volumes, WaitForVolume};

/// The program of the README: compiled with the doctests, but not run, since it talks to whatever
/// service the environment names.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
