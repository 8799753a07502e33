//! The connections of a client: how its HTTP clients are set up.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastvm_api::Result;
use http::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Proxy, Url};
use rustls::ClientConfig;
use tokio::sync::Semaphore;

use crate::client::config;
use crate::tls;

const USER_AGENT: &str = concat!("fastvm-rust/", env!("CARGO_PKG_VERSION"));

/// A connection on which nothing comes is probed this often, so that a dead one is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// After so many probes without an answer the connection is dead: a minute after the last sign.
const KEEP_ALIVE_PROBES: u32 = 3;

/// What was sent and is not acknowledged for so long does not arrive any more.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// How long an unused connection is kept.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// How long one is kept for what has no time limit: commands, streams, transfers. Servers keep idle
/// connections for longer, 5 s at least, so that none is being closed when a command is sent on it:
/// what is lost with a connection is not sent again.
const IDLE_CONNECTION_WITHOUT_LIMIT: Duration = Duration::from_secs(4);

/// How long a connection that is there may take to accept a request.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);

/// The fewest requests that a server should take at a time over an HTTP/2 connection (RFC 9113, 6.5.2).
const MOST_IN_A_LANE: usize = 100;

/// Longer than anything lasts: takes back a limit that a hook has set.
const NO_LIMIT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

type Hook = Arc<dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync>;

/// What the configuration says of connections.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) connect_timeout: Duration,
    pub(crate) user_agent_suffix: Option<String>,
    pub(crate) proxy: ProxyChoice,
    pub(crate) root_certificates: Vec<Vec<u8>>,
    pub(crate) is_http1_only: bool,
    pub(crate) hook: Option<Hook>,
}

#[derive(Clone)]
pub(crate) enum ProxyChoice {
    Environment,
    Never,
    Url(String),
}

impl Default for Network {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            user_agent_suffix: None,
            proxy: ProxyChoice::Environment,
            root_certificates: Vec::new(),
            is_http1_only: false,
            hook: None,
        }
    }
}

/// The HTTP clients that a configuration gives.
pub(crate) struct Connections {
    /// For calls that are answered as a whole; HTTP/2 where the service offers it.
    pub(crate) calls: reqwest::Client,
    /// For streams and storage: HTTP/1.1, a connection each, so that one nobody reads holds up
    /// nothing else.
    pub(crate) streams: reqwest::Client,
    lanes: Mutex<Vec<Arc<Lane>>>,
    plan: Plan,
    #[cfg(feature = "blocking")]
    blocking: std::sync::OnceLock<Box<Connections>>,
}

/// The way of a command, which has no time limit. HTTP/2 sends all requests over one connection, and a
/// server takes no more than so many at a time over each: beyond that, a command would wait for the
/// end of another. So commands beyond [`MOST_IN_A_LANE`] get another HTTP client.
pub(crate) struct Lane {
    pub(crate) http: reqwest::Client,
    /// Closed when the first command has its connection, or is over. Those after it wait until then: a
    /// hundred at once would open a hundred connections to find that one serves them all.
    gate: Semaphore,
}

impl Lane {
    /// Lets all commands through.
    pub(crate) fn open(&self) {
        self.gate.close();
    }
}

/// A lane that is taken by a command, until this is dropped.
pub(crate) struct Taken {
    pub(crate) lane: Arc<Lane>,
    is_first: bool,
}

impl Taken {
    /// Waits until the lane can lead this command, and gives what to open when a connection has it.
    pub(crate) async fn opened(&self) -> Option<Arc<Lane>> {
        if self.is_first {
            return Some(self.lane.clone());
        }
        if !self.lane.gate.is_closed() {
            // There is nothing to acquire: it fails when the gate is closed.
            let _ = self.lane.gate.acquire().await;
        }
        None
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.is_first {
            self.lane.open();
        }
    }
}

impl Connections {
    /// Those for whoever calls. A connection is served by the runtime that opened it, and a blocking
    /// call must not wait on one whose runtime it holds up: it has some of its own, from the first on.
    pub(crate) fn here(&self) -> Result<&Self> {
        #[cfg(feature = "blocking")]
        if crate::blocking::is_current() {
            if let Some(connections) = self.blocking.get() {
                return Ok(connections);
            }
            let connections = Box::new(self.anew()?);
            return Ok(self.blocking.get_or_init(|| connections));
        }
        Ok(self)
    }

    /// Others that are set up alike, for another runtime.
    pub(crate) fn anew(&self) -> Result<Self> {
        self.plan.clone().connect()
    }

    /// The way for a command, taken until it is dropped.
    pub(crate) fn lane(&self) -> Result<Taken> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        // Each is held by this list, and by the commands that are under way on it.
        let free = lanes
            .iter()
            .find(|lane| Arc::strong_count(lane) <= MOST_IN_A_LANE);
        if let Some(lane) = free {
            let (lane, is_first) = (lane.clone(), false);
            return Ok(Taken { lane, is_first });
        }
        let lane = Arc::new(Lane {
            http: self.plan.commands()?,
            gate: Semaphore::new(0),
        });
        lanes.push(lane.clone());
        let is_first = true;
        Ok(Taken { lane, is_first })
    }

    /// Leads no other command over a lane, which has not taken one in time.
    pub(crate) fn close(&self, lane: &Arc<Lane>) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|other| !Arc::ptr_eq(other, lane));
    }

    /// Within what time a connection takes a request, if ever one does.
    pub(crate) fn handover_limit(&self) -> Duration {
        self.plan
            .network
            .connect_timeout
            .saturating_add(TAKEN_WITHIN)
    }
}

impl Network {
    pub(crate) fn connect(&self, base_url: &Url) -> Result<Connections> {
        let tls = match self.hook {
            Some(_) => None,
            None => Some(tls::trusting_system(&self.root_certificates)?),
        };
        let (network, base_url) = (self.clone(), base_url.clone());
        let plan = Plan {
            network,
            base_url,
            tls,
        };
        plan.connect()
    }
}

/// How the HTTP clients are made.
#[derive(Clone)]
struct Plan {
    network: Network,
    base_url: Url,
    /// None where a hook may set it up.
    tls: Option<ClientConfig>,
}

impl Plan {
    fn connect(self) -> Result<Connections> {
        Ok(Connections {
            calls: build(self.builder(self.network.is_http1_only)?)?,
            streams: self.streams()?,
            lanes: Mutex::default(),
            plan: self,
            #[cfg(feature = "blocking")]
            blocking: std::sync::OnceLock::new(),
        })
    }

    fn commands(&self) -> Result<reqwest::Client> {
        let builder = self.builder(self.network.is_http1_only)?;
        build(builder.pool_idle_timeout(IDLE_CONNECTION_WITHOUT_LIMIT))
    }

    fn streams(&self) -> Result<reqwest::Client> {
        let builder = self.builder(true)?;
        let builder = builder.pool_idle_timeout(IDLE_CONNECTION_WITHOUT_LIMIT);
        // What lies in storage is taken as it is, even if a feature of reqwest that decodes it is
        // on elsewhere in the program.
        build(builder.no_gzip().no_brotli().no_zstd().no_deflate())
    }

    fn builder(&self, is_http1_only: bool) -> Result<reqwest::ClientBuilder> {
        let network = &self.network;
        let mut builder = reqwest::Client::builder();
        if is_loopback(&self.base_url) {
            // A proxy of the environment would look for the address on its own machine.
            builder = builder.no_proxy();
        }
        if let Some(hook) = &network.hook {
            // What may be repeated, and how long it may take, is known by the operation.
            builder = hook(builder)
                .retry(reqwest::retry::never())
                .timeout(NO_LIMIT)
                .read_timeout(NO_LIMIT);
        }
        builder = match &network.proxy {
            ProxyChoice::Environment => builder,
            ProxyChoice::Never => builder.no_proxy(),
            ProxyChoice::Url(url) => builder.no_proxy().proxy(parse_proxy(url)?),
        };
        builder = match self.tls.clone() {
            Some(mut tls) => {
                if !is_http1_only {
                    tls.alpn_protocols.push(b"h2".to_vec());
                }
                tls.alpn_protocols.push(b"http/1.1".to_vec());
                builder.tls_backend_preconfigured(tls)
            }
            None => {
                tls::provide_to_process()?;
                builder.tls_certs_merge(network.certificates()?)
            }
        };
        if is_http1_only {
            builder = builder.http1_only();
        }
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(UNACKNOWLEDGED);
        Ok(builder
            .user_agent(network.user_agent()?)
            .connect_timeout(network.connect_timeout)
            .tcp_keepalive(KEEP_ALIVE)
            .tcp_keepalive_interval(KEEP_ALIVE)
            .tcp_keepalive_retries(KEEP_ALIVE_PROBES)
            .tcp_nodelay(true)
            // Shorter than servers keep an idle connection: a request on one that is being closed
            // is lost, and most must not be sent again.
            .pool_idle_timeout(IDLE_CONNECTION)
            // The API redirects nothing, and a followed redirect would carry the key elsewhere.
            .redirect(Policy::none()))
    }
}

impl Network {
    fn certificates(&self) -> Result<Vec<Certificate>> {
        let mut certificates = Vec::new();
        for bytes in &self.root_certificates {
            for certificate in tls::parse_certificates(bytes)? {
                let certificate = Certificate::from_der(&certificate);
                certificates.push(certificate.map_err(|error| {
                    config("a root certificate cannot be used").with_source(error)
                })?);
            }
        }
        Ok(certificates)
    }

    fn user_agent(&self) -> Result<HeaderValue> {
        let text = match &self.user_agent_suffix {
            Some(suffix) => format!("{USER_AGENT} {}", suffix.trim()),
            None => USER_AGENT.to_owned(),
        };
        HeaderValue::from_str(text.trim_end())
            .map_err(|_| config("the user-agent suffix holds characters that no header can"))
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("connect_timeout", &self.connect_timeout)
            .field("user_agent_suffix", &self.user_agent_suffix)
            .field("proxy", &self.proxy)
            .field("root_certificates", &self.root_certificates.len())
            .field("is_http1_only", &self.is_http1_only)
            .field("has_hook", &self.hook.is_some())
            .finish()
    }
}

impl fmt::Debug for ProxyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Never => "Never",
            // It may hold a login.
            Self::Url(_) => "Url([redacted])",
        })
    }
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|error| {
        let message = "the HTTP client cannot be set up: does the system have CA certificates, and are those that were given valid?";
        config(message).with_source(error)
    })
}

fn parse_proxy(url: &str) -> Result<Proxy> {
    let refuse = || config("the proxy must be a URL like http://proxy.example.com:3128");
    let parsed = Url::parse(url.trim()).map_err(|_| refuse())?;
    if !parsed.has_host() || !matches!(parsed.scheme(), "http" | "https") {
        return Err(refuse());
    }
    Proxy::all(parsed).map_err(|_| refuse())
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_address = host
        .parse()
        .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    is_address || host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_known_in_every_form() {
        for url in [
            "http://127.0.0.1:1",
            "http://127.9.9.9",
            "http://[::1]:8",
            "http://localhost",
            "http://a.localhost:3",
        ] {
            assert!(is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
        for url in [
            "https://api.fastvm.org",
            "http://10.0.0.1",
            "http://localhost.example.com",
        ] {
            assert!(!is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
    }
}
