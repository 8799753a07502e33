// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on me.

pub mod ssh_keys;
use crate::Client;

/// The calls on me: `client.me()`.
#[derive(Clone, Debug)]
pub struct Me {
    client: Client,
}

impl Me {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// The calls on SSH keys.
    pub fn ssh_keys(&self) -> crate::me::ssh_keys::SshKeys {
        crate::me::ssh_keys::SshKeys::new(&self.client)
    }
}
