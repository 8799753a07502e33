//! What comes from outside is never more than it is, whatever it is: events of commands, bodies of
//! errors, archives, and the texts that a shell in a VM gets. See `fastvm_tests::fuzz`.

mod archive;
mod error;
mod events;
mod fake;
mod quoting;

use std::path::PathBuf;

fn corpus(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/corpora")).join(name)
}
