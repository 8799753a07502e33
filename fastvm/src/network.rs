//! The connections of a client: how its HTTP clients are set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fastvm_api::Result;
use http::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Proxy, Url};

use crate::client::config;

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
/// connections for longer, 5 s at least, so that none is being closed when a command is sent on it.
/// Such a command can be lost inside hyper (<https://github.com/hyperium/hyper/issues/4122>): it
/// gets neither answer nor error, and would be waited for without end.
const IDLE_CONNECTION_WITHOUT_LIMIT: Duration = Duration::from_secs(4);

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
    /// The same for those without a time limit, such as commands.
    pub(crate) commands: reqwest::Client,
    /// For streams and storage: HTTP/1.1, a connection each, so that one nobody reads holds up
    /// nothing else.
    pub(crate) streams: reqwest::Client,
    network: Network,
    base_url: Url,
    #[cfg(feature = "blocking")]
    blocking: std::sync::OnceLock<Box<Connections>>,
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
        self.network.connect(&self.base_url)
    }
}

impl Network {
    pub(crate) fn connect(&self, base_url: &Url) -> Result<Connections> {
        let buffered = || -> Result<_> {
            let builder = self.builder(base_url)?;
            Ok(match self.is_http1_only {
                true => builder.http1_only(),
                false => builder,
            })
        };
        let commands = buffered()?.pool_idle_timeout(IDLE_CONNECTION_WITHOUT_LIMIT);
        // What lies in storage is taken as it is, even if a feature of reqwest that decodes it is
        // on elsewhere in the program.
        let streams = self.builder(base_url)?.http1_only();
        let streams = streams.pool_idle_timeout(IDLE_CONNECTION_WITHOUT_LIMIT);
        let streams = streams.no_gzip().no_brotli().no_zstd().no_deflate();
        Ok(Connections {
            calls: build(buffered()?)?,
            commands: build(commands)?,
            streams: build(streams)?,
            network: self.clone(),
            base_url: base_url.clone(),
            #[cfg(feature = "blocking")]
            blocking: std::sync::OnceLock::new(),
        })
    }

    fn builder(&self, base_url: &Url) -> Result<reqwest::ClientBuilder> {
        let mut builder = reqwest::Client::builder();
        if is_loopback(base_url) {
            // A proxy of the environment would look for the address on its own machine.
            builder = builder.no_proxy();
        }
        if let Some(hook) = &self.hook {
            // What may be repeated, and how long it may take, is known by the operation.
            builder = hook(builder)
                .retry(reqwest::retry::never())
                .timeout(NO_LIMIT)
                .read_timeout(NO_LIMIT);
        }
        builder = match &self.proxy {
            ProxyChoice::Environment => builder,
            ProxyChoice::Never => builder.no_proxy(),
            ProxyChoice::Url(url) => builder.no_proxy().proxy(parse_proxy(url)?),
        };
        for bytes in &self.root_certificates {
            builder = builder.tls_certs_merge(parse_certificates(bytes)?);
        }
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(UNACKNOWLEDGED);
        Ok(builder
            .user_agent(self.user_agent()?)
            .connect_timeout(self.connect_timeout)
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

fn parse_certificates(bytes: &[u8]) -> Result<Vec<Certificate>> {
    let is_pem = bytes.trim_ascii_start().starts_with(b"-----BEGIN");
    let parsed = match is_pem {
        true => Certificate::from_pem_bundle(bytes),
        false => Certificate::from_der(bytes).map(|one| vec![one]),
    };
    let refuse = || config("a root certificate is neither PEM nor DER");
    let parsed = parsed.map_err(|error| refuse().with_source(error))?;
    match parsed.is_empty() || bytes.is_empty() {
        true => Err(refuse()),
        false => Ok(parsed),
    }
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
