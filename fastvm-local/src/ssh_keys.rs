//! The SSH keys of the user: checked as a gateway would, kept under their fingerprints.

use std::fmt;
use std::io;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use fastvm_api::types::{AddSshKeyRequest, SshKey};
use serde::{Deserialize, Serialize};
use ssh_key::{Algorithm, Fingerprint, HashAlg, PublicKey};

use crate::rules;
use crate::store::{Record, Store, StoreError, Table};
use crate::vms::now;

/// How many keys a user can have.
const MOST_KEYS: usize = 32;

/// How long a key may be: the longest RSA keys in use have some 3 KiB.
const MOST_BYTES: usize = 16 * 1024;

/// The keys of the one user that there is.
#[derive(Debug)]
pub(crate) struct SshKeys {
    table: Table<Kept>,
}

/// A key and the name of its record: a fingerprint has characters that no file name can have.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    id: String,
    key: SshKey,
}

impl Record for Kept {
    const KIND: &'static str = "ssh_keys";

    fn id(&self) -> &str {
        &self.id
    }

    fn created_at(&self) -> DateTime<Utc> {
        self.key.created_at
    }
}

/// Why a key could not be added.
#[derive(Debug)]
pub(crate) enum NotAdded {
    /// The text is no key, or of a type that is not supported.
    Invalid(String),
    Exists,
    TooMany,
    Io(io::Error),
}

impl SshKeys {
    pub(crate) fn load(store: &Arc<Store>) -> Result<Self, StoreError> {
        let table = Table::load(store)?;
        Ok(Self { table })
    }

    /// All keys, the oldest first.
    pub(crate) fn list(&self) -> Vec<SshKey> {
        let kept = self.table.list().into_iter();
        kept.map(|kept| kept.key).collect()
    }

    pub(crate) fn add(&self, request: &AddSshKeyRequest) -> Result<SshKey, NotAdded> {
        let public_key = parse(&request.public_key)?;
        let fingerprint = public_key.fingerprint(HashAlg::Sha256);
        let as_text = public_key.to_openssh().map_err(unreadable)?;
        let mut key = SshKey::new(fingerprint.to_string(), as_text, now());
        key.name = request.name.as_deref().and_then(rules::name);
        let added = self.table.insert_if(|keys| {
            let id = id_of(fingerprint);
            if keys.contains_key(&id) {
                return Err(NotAdded::Exists);
            }
            if keys.len() >= MOST_KEYS {
                return Err(NotAdded::TooMany);
            }
            Ok(Kept { id, key })
        })?;
        Ok(added.key)
    }

    /// Takes out the key of this fingerprint, if it is there.
    pub(crate) fn remove(&self, fingerprint: &str) -> io::Result<Option<SshKey>> {
        let Ok(fingerprint) = fingerprint.parse() else {
            return Ok(None);
        };
        let removed = self.table.remove(&id_of(fingerprint))?;
        Ok(removed.map(|kept| kept.key))
    }
}

fn id_of(fingerprint: Fingerprint) -> String {
    let bytes = fingerprint.as_bytes().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The key of a line such as that in `id_ed25519.pub`, without its comment.
fn parse(line: &str) -> Result<PublicKey, NotAdded> {
    let invalid = |text: String| Err(NotAdded::Invalid(text));
    if line.contains(['\n', '\r']) {
        return invalid("a line break; one key on one line is expected".to_owned());
    }
    if line.len() > MOST_BYTES {
        return invalid(format!("more than {MOST_BYTES} bytes"));
    }
    let line = line.trim();
    let mut key = PublicKey::from_openssh(line).map_err(unreadable)?;
    match key.algorithm() {
        Algorithm::Rsa { .. }
        | Algorithm::Ed25519
        | Algorithm::Ecdsa { .. }
        | Algorithm::SkEd25519
        | Algorithm::SkEcdsaSha2NistP256 => {}
        other => {
            return invalid(format!(
                "the key type {:?} is not supported",
                other.as_str()
            ));
        }
    }
    key.set_comment("");
    Ok(key)
}

fn unreadable(error: ssh_key::Error) -> NotAdded {
    NotAdded::Invalid(format!(
        "not a public key in OpenSSH form, such as \"ssh-ed25519 AAAA…\": {error}"
    ))
}

impl From<io::Error> for NotAdded {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for NotAdded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => write!(f, "publicKey: {text}"),
            Self::Exists => f.write_str("ssh key already exists"),
            Self::TooMany => write!(
                f,
                "there are {MOST_KEYS} SSH keys already, the most there can be"
            ),
            Self::Io(error) => error.fmt(f),
        }
    }
}
