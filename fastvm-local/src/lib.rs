//! The FastVM API as a server on this machine, each VM a real, isolated process environment.
//!
//! A program written against FastVM runs against a [`Server`] unchanged: point its client at
//! [`base_url`](Server::base_url) with [`api_key`](Server::api_key). Commands run for real, files
//! arrive for real, and nothing leaves the machine. Linux only; elsewhere a server does not start.
//! For other languages it is a program: `fastvm-local --listen 127.0.0.1:8787 --api-key dev`.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = fastvm_local::Server::start().await?;
//! println!("export FASTVM_BASE_URL={}", server.base_url());
//! println!("export FASTVM_API_KEY={}", server.api_key());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! A server for each test is cheap: it starts in milliseconds, takes a free port, and ends with all it
//! started when it is stopped or dropped. [`Server::builder`] sets how long boots take, quotas, folders
//! for buckets and images, and a state directory that outlives it. What is real in each operation, and
//! what differs from the cloud, is in the README of the crate.
//!
//! # Faults
//!
//! For tests of programs: [`Server::faults`] makes requests fail, stall or end early, answers break
//! and VMs die, when and as often as a [`Fault`] says. From other languages, `POST /_local/faults`
//! takes the same as JSON.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use fastvm_local::{Fault, Server};
//!
//! let server = Server::start().await?;
//! server.faults().add(Fault::status(503).on("listVms").times(2))?; // two lists fail
//! server.faults().add(Fault::cut_after_work().on("launchVm"))?; // the VM is there, the answer lost
//! # server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Boots that go wrong
//!
//! For tests of a client, a launch with the metadata key `fastvm-local/boot` boots badly: with the
//! value `error` the VM ends in status `error` after the boot delay, with `never` it stays
//! `provisioning`.
//!
//! # What is inside
//!
//! - `server` starts and stops, `http` has the operations, [`sandbox`] isolates
//! - `vms` keeps the VMs, `exec` runs commands in them, `console` opens terminals in them
//! - `firewall` checks policies, `services` are the named ports of a VM
//! - `proxy` leads to services by host name
//! - `volumes` are folders that VMs share, `bucket_mounts` folders that stand in for buckets, and
//!   `mounts` is what both know of paths in a VM
//! - `snapshots` are copies of a VM's files for new VMs
//! - `images` finds the images that snapshots are made of, and `imports` makes these
//! - `storage` holds what signed URLs point to, `store` keeps records and their data
//! - `ssh_keys` knows the user's keys
//! - `check` refuses requests that are not as the document of the API says
//! - `faults` makes requests go wrong
//! - `rules` are the limits of the API, `quota` those of the org

#![deny(unsafe_code)]

mod bucket_mounts;
mod check;
mod console;
mod exec;
mod faults;
mod firewall;
mod http;
mod images;
mod imports;
mod mounts;
mod proxy;
mod quota;
mod rules;
#[doc(hidden)]
pub mod sandbox;
mod server;
mod services;
mod snapshots;
mod ssh_keys;
mod state;
mod storage;
mod store;
mod vms;
mod volumes;

pub use faults::{Fault, FaultId, FaultReport, Faults, InvalidFault};
pub use quota::Quota;
pub use sandbox::ProbeError;
pub use server::{Server, ServerBuilder, StartError};
