//! The API of the server, over real sockets.

#![cfg(target_os = "linux")]

mod commands;
mod files;
mod life;
mod routes;
mod server;
mod ssh_keys;
mod support;
mod vms;
mod volumes;
