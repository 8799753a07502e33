// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on services.

use crate::Client;
use crate::{ResponseValue, Result, operations};
use crate::call::{Call, Pending};
use crate::types;

/// The calls on services: `client.vms().services()`.
///
/// Publish TCP ports of a VM under a public HTTPS host name.
#[derive(Clone, Debug)]
pub struct Services {
    client: Client,
}

impl Services {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// List the services of a VM.
    ///
    /// Returns the services registered on the VM, ordered by name.
    ///
    /// See also [`Vm::wait_for_http`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.wait_for_http) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `GET /v1/vms/{id}/services`, and gives a list of [`Service`](fastvm_api::types::Service). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn list(&self, id: impl Into<String>) -> List {
        List::new(&self.client, id)
    }

    /// Publish a port of a VM as a service.
    ///
    /// Makes a TCP port of the VM reachable over HTTPS at the host
    /// `<name>--<vm id without hyphens>.proxy.<stack domain>`. The firewall is opened before
    /// the call answers; the rule shows up in `effective_firewall`.
    ///
    /// A name that is registered already gives 201 and the present entry if `port` and `h2c`
    /// are the same, and 409 if either differs: use [`client.vms().services().update`](fastvm_api::vms::services::Services::update) to change a service.
    ///
    /// A VM has at most 16 services, unless the server is set up otherwise.
    ///
    /// See also [`Vm::expose`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.expose) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `name`: Name of the service, 1 to 29 characters long. It becomes part of the public host
    ///   name, so use letters, digits and inner hyphens.
    /// - `port`: TCP port in the VM, 1024 to 65535; lower ports are refused.
    ///
    /// Optional, as methods of the builder: [`h2c`](Register::h2c).
    ///
    /// Sends `POST /v1/vms/{id}/services`, and gives [`Service`](fastvm_api::types::Service). It is not safe to send twice: it is sent again only if it provably never left.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `409`: A service of this name exists with another `port` or `h2c`. Change it with
    ///   [`client.vms().services().update`](fastvm_api::vms::services::Services::update).
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    /// let service = client.vms().services().register(id, "web", 8080).await?;
    /// assert_eq!(service.port, 8080);
    /// # Ok(())
    /// # }
    /// ```
    pub fn register(
        &self,
        id: impl Into<String>,
        name: impl Into<String>,
        port: i32,
    ) -> Register {
        Register::new(&self.client, id, name, port)
    }

    /// Change a service or register it.
    ///
    /// Stores the port and the transport of the service of this name, and registers the
    /// service if there is none. Sending what is stored already changes nothing.
    ///
    /// See also [`Vm::expose`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.expose) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `service_name`: Name of the service, 1 to 29 characters long.
    /// - `port`: TCP port in the VM, 1024 to 65535; lower ports are refused.
    ///
    /// Optional, as methods of the builder: [`h2c`](Update::h2c).
    ///
    /// Sends `PUT /v1/vms/{id}/services/{serviceName}`, and gives [`Service`](fastvm_api::types::Service). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn update(
        &self,
        id: impl Into<String>,
        service_name: impl Into<String>,
        port: i32,
    ) -> Update {
        Update::new(&self.client, id, service_name, port)
    }

    /// Remove a service from a VM.
    ///
    /// Removes the service. Its automatic firewall rule goes at once; the public host stops
    /// answering within seconds, at the latest after 30 s. Removing a service that does not
    /// exist succeeds as well.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `service_name`: Name of the service, 1 to 29 characters long.
    ///
    /// Sends `DELETE /v1/vms/{id}/services/{serviceName}`. It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn delete(
        &self,
        id: impl Into<String>,
        service_name: impl Into<String>,
    ) -> Delete {
        Delete::new(&self.client, id, service_name)
    }
}

/// The calls on the services of one VM: `vm.services()`.
#[derive(Clone, Debug)]
pub struct VmServices {
    client: Client,
    id: String,
}

impl VmServices {
    pub(crate) fn new(client: &Client, id: &str) -> Self {
        Self {
            client: client.clone(),
            id: id.to_owned(),
        }
    }

    /// List the services of a VM.
    ///
    /// Returns the services registered on the VM, ordered by name.
    ///
    /// See also [`Vm::wait_for_http`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.wait_for_http) in the crate `fastvm`, which does more.
    ///
    /// Sends `GET /v1/vms/{id}/services`, and gives a list of [`Service`](fastvm_api::types::Service). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn list(&self) -> List {
        List::new(&self.client, &self.id)
    }

    /// Publish a port of a VM as a service.
    ///
    /// Makes a TCP port of the VM reachable over HTTPS at the host
    /// `<name>--<vm id without hyphens>.proxy.<stack domain>`. The firewall is opened before
    /// the call answers; the rule shows up in `effective_firewall`.
    ///
    /// A name that is registered already gives 201 and the present entry if `port` and `h2c`
    /// are the same, and 409 if either differs: use [`client.vms().services().update`](fastvm_api::vms::services::Services::update) to change a service.
    ///
    /// A VM has at most 16 services, unless the server is set up otherwise.
    ///
    /// See also [`Vm::expose`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.expose) in the crate `fastvm`, which does more.
    ///
    /// - `name`: Name of the service, 1 to 29 characters long. It becomes part of the public host
    ///   name, so use letters, digits and inner hyphens.
    /// - `port`: TCP port in the VM, 1024 to 65535; lower ports are refused.
    ///
    /// Optional, as methods of the builder: [`h2c`](Register::h2c).
    ///
    /// Sends `POST /v1/vms/{id}/services`, and gives [`Service`](fastvm_api::types::Service). It is not safe to send twice: it is sent again only if it provably never left.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `409`: A service of this name exists with another `port` or `h2c`. Change it with
    ///   [`client.vms().services().update`](fastvm_api::vms::services::Services::update).
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn register(&self, name: impl Into<String>, port: i32) -> Register {
        Register::new(&self.client, &self.id, name, port)
    }

    /// Change a service or register it.
    ///
    /// Stores the port and the transport of the service of this name, and registers the
    /// service if there is none. Sending what is stored already changes nothing.
    ///
    /// See also [`Vm::expose`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.expose) in the crate `fastvm`, which does more.
    ///
    /// - `service_name`: Name of the service, 1 to 29 characters long.
    /// - `port`: TCP port in the VM, 1024 to 65535; lower ports are refused.
    ///
    /// Optional, as methods of the builder: [`h2c`](Update::h2c).
    ///
    /// Sends `PUT /v1/vms/{id}/services/{serviceName}`, and gives [`Service`](fastvm_api::types::Service). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn update(&self, service_name: impl Into<String>, port: i32) -> Update {
        Update::new(&self.client, &self.id, service_name, port)
    }

    /// Remove a service from a VM.
    ///
    /// Removes the service. Its automatic firewall rule goes at once; the public host stops
    /// answering within seconds, at the latest after 30 s. Removing a service that does not
    /// exist succeeds as well.
    ///
    /// - `service_name`: Name of the service, 1 to 29 characters long.
    ///
    /// Sends `DELETE /v1/vms/{id}/services/{serviceName}`. It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn delete(&self, service_name: impl Into<String>) -> Delete {
        Delete::new(&self.client, &self.id, service_name)
    }
}

/// List the services of a VM.
///
/// Made by [`client.vms().services().list`](fastvm_api::vms::services::Services::list); sends `GET /v1/vms/{id}/services` when awaited, and gives a list of [`Service`](fastvm_api::types::Service). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct List {
    call: Call,
    id: String,
}

impl List {
    pub(crate) fn new(client: &Client, id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
        }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<Vec<types::Service>>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::LIST_SERVICES, &[("id", self.id.as_str())])?;
            let request = exchange.raw.list_services(&self.id);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for List {
    type Output = Result<Vec<types::Service>>;
    type IntoFuture = Pending<Vec<types::Service>>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Publish a port of a VM as a service.
///
/// Made by [`client.vms().services().register`](fastvm_api::vms::services::Services::register); sends `POST /v1/vms/{id}/services` when awaited, and gives [`Service`](fastvm_api::types::Service). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Register {
    call: Call,
    id: String,
    body: types::RegisterServiceRequest,
}

impl Register {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        name: impl Into<String>,
        port: i32,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            body: types::RegisterServiceRequest::new(name, port),
        }
    }

    /// How to speak to the VM. True: HTTP/2 without TLS, which gRPC needs. False:
    /// HTTP/1.1, which covers server-sent events and WebSockets too.
    pub fn h2c(mut self, h2c: bool) -> Self {
        self.body.h2c = Some(h2c);
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::RegisterServiceRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::Service>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::REGISTER_SERVICE, &[("id", self.id.as_str())])?;
            let request = exchange.raw.register_service(&self.id, &self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Register {
    type Output = Result<types::Service>;
    type IntoFuture = Pending<types::Service>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Change a service or register it.
///
/// Made by [`client.vms().services().update`](fastvm_api::vms::services::Services::update); sends `PUT /v1/vms/{id}/services/{serviceName}` when awaited, and gives [`Service`](fastvm_api::types::Service). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Update {
    call: Call,
    id: String,
    service_name: String,
    body: types::UpdateServiceRequest,
}

impl Update {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        service_name: impl Into<String>,
        port: i32,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            service_name: service_name.into(),
            body: types::UpdateServiceRequest::new(port),
        }
    }

    /// How to speak to the VM. True: HTTP/2 without TLS, which gRPC needs. False:
    /// HTTP/1.1. Send it with every update of a service that has it set; do not rely on
    /// what leaving it out does to a stored value.
    pub fn h2c(mut self, h2c: bool) -> Self {
        self.body.h2c = Some(h2c);
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::UpdateServiceRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::Service>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(
                    &operations::UPDATE_SERVICE,
                    &[
                        ("id", self.id.as_str()),
                        ("service_name", self.service_name.as_str()),
                    ],
                )?;
            let request = exchange
                .raw
                .update_service(&self.id, &self.service_name, &self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Update {
    type Output = Result<types::Service>;
    type IntoFuture = Pending<types::Service>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Remove a service from a VM.
///
/// Made by [`client.vms().services().delete`](fastvm_api::vms::services::Services::delete); sends `DELETE /v1/vms/{id}/services/{serviceName}` when awaited. `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Delete {
    call: Call,
    id: String,
    service_name: String,
}

impl Delete {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        service_name: impl Into<String>,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            service_name: service_name.into(),
        }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(self) -> impl Future<Output = Result<ResponseValue<()>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(
                    &operations::DELETE_SERVICE,
                    &[
                        ("id", self.id.as_str()),
                        ("service_name", self.service_name.as_str()),
                    ],
                )?;
            let request = exchange.raw.delete_service(&self.id, &self.service_name);
            exchange.empty(request).await
        }
    }
}

impl IntoFuture for Delete {
    type Output = Result<()>;
    type IntoFuture = Pending<()>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
