//! Ports of a VM: published under a name, and waited for.

use std::pin::pin;
use std::time::Duration;

use fastvm_api::{CallInfo, CallOptions, Client, Error, ErrorKind, Operation, Pending, Result};
use http::header::HOST;
use http::{HeaderValue, Method};
use reqwest::{Request, Url};

use crate::connector::Connector;
use crate::exec::{CommandLine, Run};
use crate::idle::watched;
use crate::network::is_loopback;
use crate::poll::{Step, Wait};
use crate::vm::Vm;

const LONGEST_NAME: usize = 29;
const LOWEST_PORT: u16 = 1024;

/// The most hexadecimal digits that an id has in a host name.
const LONGEST_ID: usize = 32;

/// How long to wait for a port or a service unless the call says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long one question may take: an answer that does not come is followed by another question.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A request to a service, which is no operation of the API: it carries no key.
static PROBE: Operation = Operation::storage("wait for a service", "GET");

/// Exits with 0 if a socket listens on the port `$1`, four hexadecimal digits, with 1 if none does.
const IS_LISTENED_ON: &str = r#"
for table in /proc/net/tcp /proc/net/tcp6; do
    [ -r "$table" ] || continue
    is_read=1
    while read -r slot address peer state rest; do
        [ "${address##*:} $state" = "$1 0A" ] && exit 0
    done <"$table"
done
[ "$is_read" ] && exit 1
echo 'neither /proc/net/tcp nor /proc/net/tcp6 can be read' >&2
exit 2
"#;

impl Vm {
    /// Publishes a port of this VM under a name, and answers the URL that reaches it: see
    /// [`url`](Self::url).
    ///
    /// The name is 1 to 29 lowercase letters, digits and single hyphens between them; the port is
    /// 1024 or higher, and need not be listened on yet. What has the name already is replaced, so
    /// that it may be called again and again; `vm.services().register(..)` refuses that instead. The
    /// VM's firewall lets the service through by itself. Sends
    /// `PUT /v1/vms/{id}/services/{serviceName}`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if the name or the port cannot be used, or the host is not known
    /// as [`url`](Self::url) says; then nothing is sent. A 409 if the VM has 16 services.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// let vm = client.vms().launch("c1m2").await?;
    /// let url = vm.expose("web", 8080).await?;
    /// assert_eq!(url, vm.url("web")?);
    /// assert!(url.starts_with("http://web--") && url.contains(".proxy.localhost:"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn expose(&self, name: impl Into<String>, port: u16) -> Expose {
        Expose {
            api: self.client().clone(),
            vm_id: self.id.clone(),
            name: name.into(),
            port,
            is_h2c: false,
            options: CallOptions::default(),
        }
    }

    /// The URL of a service of this VM, without a trailing slash. Sends nothing: whether the service
    /// is registered is not looked at.
    ///
    /// The host is `<name>--<id without hyphens>.proxy.<domain>`. The domain is the host of the base
    /// URL without a leading `api.`, unless
    /// [`ClientBuilder::proxy_domain`](crate::ClientBuilder::proxy_domain) says otherwise; for a
    /// loopback address it is `localhost` with the port of the base URL. Browsers and curl find
    /// `*.localhost` by themselves. Where a resolver does not, connect to the base URL and send the
    /// host in the header `Host`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if no service can have the name, or the domain is not known: the
    /// base URL is an IP address.
    pub fn url(&self, service: impl AsRef<str>) -> Result<String> {
        Ok(Address::of(self.client(), &self.id, service.as_ref())?.url)
    }

    /// Waits until a program in this VM listens on a TCP port, on whichever of its addresses.
    ///
    /// Asks inside the VM, where it needs `sh` and `/proc`, at growing intervals from 30 ms to 1 s,
    /// for 60 s unless [`.timeout(..)`](WaitForPort::timeout) says otherwise. VMs of the local
    /// server share the network of its machine: a program outside counts there, too. Sends
    /// `POST /v1/vms/{id}/exec`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotReady`] when time is over, [`ErrorKind::Command`] if the VM cannot be asked,
    /// [`ErrorKind::InvalidInput`] for port 0. Faults that may pass are waited out.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?; // in place of a program in the VM
    /// # let port = listener.local_addr()?.port();
    /// vm.wait_for_port(port).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for_port(&self, port: u16) -> WaitForPort {
        WaitForPort {
            api: self.client().clone(),
            vm_id: self.id.clone(),
            port,
            wait: default_wait(),
        }
    }

    /// Waits until a service of this VM answers a `GET` for this path, such as `/health`, with a
    /// status below 400.
    ///
    /// Asks from here, through the service's public host, so that all on the way is known to work;
    /// redirects are not followed, and the API key is not sent. Asks at growing intervals from
    /// 30 ms to 1 s, for 60 s unless [`.timeout(..)`](WaitForHttp::timeout) says otherwise. Sends
    /// `GET /v1/vms/{id}/services` first, and then to [`url`](Self::url).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotReady`] when time is over, with the last answer as its source;
    /// [`ErrorKind::NotFound`] if the VM has no service of this name; [`ErrorKind::Gone`] if the VM
    /// is gone, stopped or paused meanwhile; [`ErrorKind::InvalidInput`] as for
    /// [`url`](Self::url), and for a path without a leading `/`.
    pub fn wait_for_http(
        &self,
        service: impl Into<String>,
        path: impl Into<String>,
    ) -> WaitForHttp {
        WaitForHttp {
            api: self.client().clone(),
            vm_id: self.id.clone(),
            service: service.into(),
            path: path.into(),
            wait: default_wait(),
        }
    }
}

/// A port to publish: `vm.expose(..)`. See [`Vm::expose`].
#[derive(Clone, Debug)]
#[must_use = "a port is not published until it is awaited"]
pub struct Expose {
    api: Client,
    vm_id: String,
    name: String,
    port: u16,
    is_h2c: bool,
    options: CallOptions,
}

impl Expose {
    /// Whether the VM is spoken to in HTTP/2 without TLS, which gRPC needs, in place of HTTP/1.1,
    /// which covers server-sent events and WebSockets. Off by default.
    pub fn h2c(mut self, is_h2c: bool) -> Self {
        self.is_h2c = is_h2c;
        self
    }

    fastvm_api::__call_options!(options);

    async fn send(self) -> Result<String> {
        let url = Address::of(&self.api, &self.vm_id, &self.name)?.url;
        if self.port < LOWEST_PORT {
            let message = format!(
                "port {} cannot be published: take one from {LOWEST_PORT} on",
                self.port
            );
            return Err(refused(&self.vm_id, message));
        }
        let port = i32::from(self.port);
        let services = self.api.vms().services();
        services
            .update(self.vm_id, self.name, port)
            .call_options(self.options)
            // Always told: what a stored value becomes if it is left out is nobody's promise.
            .h2c(self.is_h2c)
            .await?;
        Ok(url)
    }
}

impl IntoFuture for Expose {
    type Output = Result<String>;
    type IntoFuture = Pending<String>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// A wait for a port: `vm.wait_for_port(..)`. See [`Vm::wait_for_port`].
#[derive(Clone, Debug)]
#[must_use = "it waits only when awaited"]
pub struct WaitForPort {
    api: Client,
    vm_id: String,
    port: u16,
    wait: Wait,
}

impl WaitForPort {
    /// How long to wait; 60 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.wait.timeout = timeout;
        self
    }

    async fn wait(self) -> Result<()> {
        if self.port == 0 {
            return Err(refused(&self.vm_id, "nothing ever listens on port 0"));
        }
        let what = format!("nothing listens on port {}", self.port);
        let waited = self.wait.until(None, || what, || self.ask()).await;
        waited.map_err(|error| error.with_vm_id(&self.vm_id))
    }

    async fn ask(&self) -> Step<()> {
        let port = format!("{:04X}", self.port);
        let command = CommandLine::from(["sh", "-c", IS_LISTENED_ON, "sh", &port]);
        let asking = Run::new(&self.api, self.vm_id.clone(), command)
            .timeout(ANSWER_WITHIN)
            .request_timeout(2 * ANSWER_WITHIN);
        let out = match asking.await {
            Ok(out) => out,
            Err(error) if error.is_transient() => return Step::Wait(Some(error)),
            Err(error) => return Step::Failed(error),
        };
        let is_unanswered = out.exit_code == 1 || out.timed_out;
        match out.ensure_success() {
            Ok(_) => Step::Done(()),
            Err(_) if is_unanswered => Step::Wait(None),
            Err(error) => Step::Failed(error),
        }
    }
}

impl IntoFuture for WaitForPort {
    type Output = Result<()>;
    type IntoFuture = Pending<()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}

/// A wait for a service: `vm.wait_for_http(..)`. See [`Vm::wait_for_http`].
#[derive(Clone, Debug)]
#[must_use = "it waits only when awaited"]
pub struct WaitForHttp {
    api: Client,
    vm_id: String,
    service: String,
    path: String,
    wait: Wait,
}

impl WaitForHttp {
    /// How long to wait; 60 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.wait.timeout = timeout;
        self
    }

    async fn wait(self) -> Result<()> {
        let probe = self.probe()?;
        self.check_service().await?;
        let (api, vm_id) = (self.api.clone(), self.vm_id.clone());
        let idle_check = Connector::idle_check(&api).buffered;
        let what = format!(
            "the service {:?} does not answer {:?} with success",
            self.service,
            self.path_without_query()
        );
        let waiting = async move { self.wait.until(None, || what, || self.ask(&probe)).await };
        watched(&api, &vm_id, idle_check, pin!(waiting)).await
    }

    /// The request that is sent again and again.
    fn probe(&self) -> Result<Request> {
        let address = Address::of(&self.api, &self.vm_id, &self.service)?;
        let refuse = || {
            let message = "the path of a service must be like /health";
            refused(&self.vm_id, message)
        };
        if !self.path.starts_with('/') {
            return Err(refuse());
        }
        let host = address.connect_to.as_ref().unwrap_or(&address.url);
        let url = Url::parse(&format!("{host}{}", self.path)).map_err(|_| refuse())?;
        let mut request = Request::new(Method::GET, url);
        if address.connect_to.is_some() {
            request.headers_mut().insert(HOST, address.host);
        }
        Ok(request)
    }

    /// A name that was never registered would be waited for to the end.
    async fn check_service(&self) -> Result<()> {
        let services = match self.api.vms().services().list(&self.vm_id).await {
            Ok(services) => services,
            Err(error) if error.is_transient() => return Ok(()),
            Err(error) => return Err(error),
        };
        match services.iter().any(|service| service.name == self.service) {
            true => Ok(()),
            false => {
                let message = format!(
                    "it has no service {:?}: publish its port with `vm.expose(..)` first",
                    self.service
                );
                Err(Error::new(ErrorKind::NotFound, message).with_vm_id(&self.vm_id))
            }
        }
    }

    async fn ask(&self, probe: &Request) -> Step<()> {
        let options = CallOptions::default()
            .request_timeout(ANSWER_WITHIN)
            .max_retries(0);
        let call = CallInfo::new(&PROBE)
            .with_options(&options)
            .with_vm_id(&self.vm_id);
        // It has no body: it can be had again and again.
        let Some(request) = probe.try_clone() else {
            return Step::Wait(None);
        };
        match self.api.send(request, &call).await {
            Ok(_) => Step::Done(()),
            Err(error) if error.status().is_some_and(|it| it.is_redirection()) => Step::Done(()),
            Err(error) => Step::Wait(Some(error)),
        }
    }

    /// A query may hold what is secret.
    fn path_without_query(&self) -> &str {
        let path = self.path.split(['?', '#']).next();
        path.unwrap_or_default()
    }
}

impl IntoFuture for WaitForHttp {
    type Output = Result<()>;
    type IntoFuture = Pending<()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}

fn default_wait() -> Wait {
    Wait {
        poll_interval: LONGEST_PAUSE,
        timeout: DEFAULT_TIMEOUT,
        setter: "timeout",
    }
}

/// Where a service is.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    /// Scheme and host, without a trailing slash.
    url: String,
    host: HeaderValue,
    /// Scheme and host to connect to in its place, since names below `localhost` are not known to
    /// every resolver.
    connect_to: Option<String>,
}

impl Address {
    fn of(api: &Client, vm_id: &str, service: &str) -> Result<Self> {
        let domain = Connector::of(api).and_then(Connector::proxy_domain);
        Self::new(api.base_url(), domain, vm_id, service).map_err(|message| refused(vm_id, message))
    }

    fn new(
        base_url: &str,
        domain: Option<&str>,
        vm_id: &str,
        service: &str,
    ) -> Result<Self, String> {
        if !is_name(service) {
            return Err(format!(
                "{service:?} is no name of a service: it is 1 to {LONGEST_NAME} lowercase letters, \
                 digits and single hyphens between them"
            ));
        }
        let label = format!("{service}--{}", host_part(vm_id)?);
        let base = Url::parse(base_url).map_err(|_| "the base URL is no URL".to_owned())?;
        let (domain, connect_to) = match domain {
            Some(domain) => (domain.to_owned(), None),
            None if is_loopback(&base) => (
                with_port("localhost", &base),
                Some(base.origin().ascii_serialization()),
            ),
            None => (with_port(domain_of(&base)?, &base), None),
        };
        let host = format!("{label}.proxy.{domain}");
        Ok(Self {
            url: format!("{}://{host}", base.scheme()),
            // Letters, digits and hyphens, behind what a URL had as its host.
            host: HeaderValue::try_from(host).map_err(|error| error.to_string())?,
            connect_to,
        })
    }
}

/// In a host name two hyphens end the name: it has none itself.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= LONGEST_NAME
        && name
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(is_plain))
}

/// The id of a VM as host names have it.
fn host_part(vm_id: &str) -> Result<String, String> {
    let hex = vm_id.replace('-', "").to_ascii_lowercase();
    let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_hex && (1..=LONGEST_ID).contains(&hex.len()) {
        true => Ok(hex),
        false => Err("its id is not of hexadecimal digits, so it has no host name".to_owned()),
    }
}

/// The domain that goes with the host of the API.
fn domain_of(base: &Url) -> Result<&str, String> {
    match base.domain() {
        Some(host) => Ok(host.strip_prefix("api.").unwrap_or(host)),
        None => Err(
            "the base URL is an IP address, so the domain of services is not known: set it with \
             `.proxy_domain(..)` on the client's builder"
                .to_owned(),
        ),
    }
}

fn with_port(host: &str, base: &Url) -> String {
    match base.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn refused(vm_id: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message).with_vm_id(vm_id)
}

/// The domain of services as it was configured; `None` if it is none. With or without the leading
/// `proxy.` that every host of a service has.
pub(crate) fn parse_domain(text: &str) -> Option<String> {
    let text = text.trim();
    let url = Url::parse(&format!("http://{text}")).ok()?;
    let is_bare = url.path() == "/"
        && !text.ends_with('/')
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let domain = url.domain().filter(|_| is_bare)?;
    Some(with_port(
        domain.strip_prefix("proxy.").unwrap_or(domain),
        &url,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01234567-89AB-cdef-0123-456789abcdef";
    const HEX: &str = "0123456789abcdef0123456789abcdef";

    fn url(base: &str, domain: Option<&str>) -> Result<String, String> {
        Address::new(base, domain, ID, "web").map(|address| address.url)
    }

    #[test]
    fn the_host_of_a_service_follows_from_the_base_url() {
        for (base, expected) in [
            ("https://api.fastvm.org", "https://{}.proxy.fastvm.org"),
            ("https://fastvm.test/v2", "https://{}.proxy.fastvm.test"),
            ("https://api.x.test:8443", "https://{}.proxy.x.test:8443"),
            ("http://127.0.0.1:4000", "http://{}.proxy.localhost:4000"),
            ("http://[::1]:4000", "http://{}.proxy.localhost:4000"),
            ("http://localhost", "http://{}.proxy.localhost"),
        ] {
            let expected = expected.replace("{}", &format!("web--{HEX}"));
            assert_eq!(url(base, None), Ok(expected), "{base}");
        }
        assert!(url("http://10.0.0.1", None).is_err());
    }

    #[test]
    fn a_domain_that_is_set_goes_before_the_base_url() {
        let expected = Ok(format!("https://web--{HEX}.proxy.x.test:9"));
        assert_eq!(url("https://api.fastvm.org", Some("x.test:9")), expected);
        assert_eq!(url("https://10.0.0.1", Some("x.test:9")), expected);
    }

    #[test]
    fn only_a_loopback_address_is_connected_to_in_place_of_the_host() {
        let connect_to = |base| Address::new(base, None, ID, "web").unwrap().connect_to;
        let base = "http://127.0.0.1:4000";
        assert_eq!(connect_to(base).as_deref(), Some(base));
        assert_eq!(connect_to("https://api.fastvm.org"), None);
    }

    #[test]
    fn a_domain_is_taken_with_and_without_its_first_label() {
        assert_eq!(parse_domain("x.test").as_deref(), Some("x.test"));
        assert_eq!(
            parse_domain(" proxy.x.test:8 ").as_deref(),
            Some("x.test:8")
        );
        for text in [
            "",
            "https://x.test",
            "x.test/",
            "a@x.test",
            "x.test?a",
            "10.0.0.1",
            "a b",
        ] {
            assert_eq!(parse_domain(text), None, "{text}");
        }
    }

    #[test]
    fn an_id_that_is_no_host_name_is_refused() {
        for id in ["", "-", "vm_1", "xyz", &"a".repeat(33)] {
            assert!(host_part(id).is_err(), "{id}");
        }
    }
}
