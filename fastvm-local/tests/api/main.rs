//! The API of the server, over real sockets.

#![cfg(target_os = "linux")]

mod bucket_mounts;
mod commands;
mod console;
mod dockerfile;
mod faults;
mod files;
mod firewall;
mod image;
mod imports;
mod life;
mod proxy;
mod routes;
mod server;
mod services;
mod snapshots;
mod ssh_keys;
mod support;
mod vms;
mod volumes;
