// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on SSH keys.

use crate::Client;
use crate::{ResponseValue, Result, operations};
use crate::call::{Call, Pending};
use crate::types;

/// The calls on SSH keys: `client.me().ssh_keys()`.
///
/// The public keys that let the calling user log in to VMs over SSH.
#[derive(Clone, Debug)]
pub struct SshKeys {
    client: Client,
}

impl SshKeys {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// List your SSH keys.
    ///
    /// Returns the public keys of the calling user. Keys belong to the user, not to an org:
    /// one key opens the VMs of all orgs that the user is a member of.
    ///
    /// To log in, connect to the SSH gateway of the stack with the VM id as user name. The
    /// gateway ends the SSH session and forwards to the VM, so the VM needs no public IPv4
    /// address, and its IPv6 address need not be known.
    ///
    /// Sends `GET /v1/me/ssh-keys`, and gives [`SshKeyListResponse`](fastvm_api::types::SshKeyListResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// What can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn list(&self) -> List {
        List::new(&self.client)
    }

    /// Add an SSH key.
    ///
    /// Stores a public key for the calling user, which then opens all VMs of the user's orgs.
    /// The server computes the fingerprint that identifies the key. A user has at most 32
    /// keys.
    ///
    /// See also [`SshKeys::add_file`](https://docs.rs/fastvm/latest/fastvm/struct.SshKeys.html#method.add_file) in the crate `fastvm`, which does more.
    ///
    /// - `public_key`: The public key in OpenSSH form, such as the line in `id_ed25519.pub`, without the
    ///   line break at its end. A comment is dropped; a line break is refused.
    ///
    /// Optional, as methods of the builder: [`name`](Add::name).
    ///
    /// Sends `POST /v1/me/ssh-keys`, and gives [`SshKey`](fastvm_api::types::SshKey). It is not safe to send twice: it is sent again only if it provably never left.
    ///
    /// # Errors
    ///
    /// - `409`: A key with this fingerprint is stored already, for the caller or for another user:
    ///   a fingerprint exists only once across all users.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    /// let stored = client.me().ssh_keys().add(key).name("laptop").await?;
    /// println!("{}", stored.fingerprint);
    /// # Ok(())
    /// # }
    /// ```
    pub fn add(&self, public_key: impl Into<String>) -> Add {
        Add::new(&self.client, public_key)
    }

    /// Delete an SSH key.
    ///
    /// Removes a key of the calling user. New logins with it fail from now on; SSH sessions
    /// that are open stay open.
    ///
    /// - `fingerprint`: Fingerprint of the key in the SHA256 form of OpenSSH: `SHA256:` and base64 text.
    ///   Percent-encode it as one path segment, since it contains `:` and can contain `+`
    ///   and `/`.
    ///
    /// Sends `DELETE /v1/me/ssh-keys/{fingerprint}`, and gives [`DeleteResponse`](fastvm_api::types::DeleteResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn delete(&self, fingerprint: impl Into<String>) -> Delete {
        Delete::new(&self.client, fingerprint)
    }
}

/// List your SSH keys.
///
/// Made by [`client.me().ssh_keys().list`](fastvm_api::me::ssh_keys::SshKeys::list); sends `GET /v1/me/ssh-keys` when awaited, and gives [`SshKeyListResponse`](fastvm_api::types::SshKeyListResponse). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct List {
    call: Call,
}

impl List {
    pub(crate) fn new(client: &Client) -> Self {
        Self { call: Call::new(client) }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::SshKeyListResponse>>> + Send {
        async move {
            let exchange = self.call.begin(&operations::LIST_SSH_KEYS, &[])?;
            let request = exchange.raw.list_ssh_keys();
            exchange.json(request).await
        }
    }
}

impl IntoFuture for List {
    type Output = Result<types::SshKeyListResponse>;
    type IntoFuture = Pending<types::SshKeyListResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Add an SSH key.
///
/// Made by [`client.me().ssh_keys().add`](fastvm_api::me::ssh_keys::SshKeys::add); sends `POST /v1/me/ssh-keys` when awaited, and gives [`SshKey`](fastvm_api::types::SshKey). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Add {
    call: Call,
    body: types::AddSshKeyRequest,
}

impl Add {
    pub(crate) fn new(client: &Client, public_key: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            body: types::AddSshKeyRequest::new(public_key),
        }
    }

    /// Free label.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.body.name = Some(name.into());
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::AddSshKeyRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::SshKey>>> + Send {
        async move {
            let exchange = self.call.begin(&operations::ADD_SSH_KEY, &[])?;
            let request = exchange.raw.add_ssh_key(&self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Add {
    type Output = Result<types::SshKey>;
    type IntoFuture = Pending<types::SshKey>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Delete an SSH key.
///
/// Made by [`client.me().ssh_keys().delete`](fastvm_api::me::ssh_keys::SshKeys::delete); sends `DELETE /v1/me/ssh-keys/{fingerprint}` when awaited, and gives [`DeleteResponse`](fastvm_api::types::DeleteResponse). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Delete {
    call: Call,
    fingerprint: String,
}

impl Delete {
    pub(crate) fn new(client: &Client, fingerprint: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            fingerprint: fingerprint.into(),
        }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::DeleteResponse>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(
                    &operations::DELETE_SSH_KEY,
                    &[("fingerprint", self.fingerprint.as_str())],
                )?;
            let request = exchange.raw.delete_ssh_key(&self.fingerprint);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Delete {
    type Output = Result<types::DeleteResponse>;
    type IntoFuture = Pending<types::DeleteResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
