//! The integration tests: one binary, so that it is linked once.

mod calls;
mod command;
mod commands;
mod config;
mod console;
mod credentials;
mod downloads;
mod errors;
mod files;
mod firewall;
mod fs;
mod guard;
mod images;
mod launch;
mod lease;
mod many;
mod once;
mod ports;
mod scale;
mod secrets;
mod snapshots;
mod streams;
mod tracing;
mod uploads;
mod volumes;
mod wire;
