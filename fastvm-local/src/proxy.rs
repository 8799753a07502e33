//! The way to a service of a VM by host name, as `http://web--<vm id in hex>.proxy.localhost`.
//!
//! VMs share the host's network: what listens on a service's port of the loopback address answers.
//! Each request gets a connection of its own, so that none outlives what it was opened to.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use fastvm_api::types::Service;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderName, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::select;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Only a listener that does not accept lets a connection within the machine wait.
const MOST_CONNECT_TIME: Duration = Duration::from_secs(5);

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What concerns one connection only.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    PROXY_CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Where a request came from and to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    client: SocketAddr,
    server: SocketAddr,
}

impl Ends {
    pub(crate) fn of(stream: &TcpStream) -> io::Result<Self> {
        Ok(Self {
            client: stream.peer_addr()?,
            server: stream.local_addr()?,
        })
    }
}

/// What a host name says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) service: String,
    pub(crate) vm_id: String,
}

impl Target {
    /// The service that a request is for, if it is for one and not for the API.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        if request.method() == Method::CONNECT {
            return None;
        }
        Self::parse(authority(request.uri(), request.headers())?.host())
    }

    fn parse(host: &str) -> Option<Self> {
        let (label, rest) = host.split_once('.')?;
        let (proxy, domain) = rest.split_once('.')?;
        let (service, hex) = label.split_once("--")?;
        if !proxy.eq_ignore_ascii_case("proxy") || domain.is_empty() {
            return None;
        }
        let id = Uuid::try_parse(hex).ok().filter(|_| hex.len() == 32);
        Some(Self {
            service: service.to_ascii_lowercase(),
            // No VM has an empty one.
            vm_id: id.map(|id| id.to_string()).unwrap_or_default(),
        })
    }
}

fn authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => Authority::try_from(headers.get(HOST)?.as_bytes()).ok(),
    }
}

/// Why a request got no answer from a service.
#[derive(Debug)]
pub(crate) enum NotForwarded {
    /// Nothing of a VM listens on the port.
    Silent(i32),
    /// What listens does not speak HTTP, or has gone.
    Broken(hyper::Error),
    /// It changed the protocol unasked.
    Unasked,
    Invalid(http::Error),
}

impl fmt::Display for NotForwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(port) => write!(f, "nothing listens on port {port} of the VM"),
            Self::Broken(_) => f.write_str("the service did not answer"),
            Self::Unasked => f.write_str("the service changed the protocol unasked"),
            Self::Invalid(_) => f.write_str("the request cannot be forwarded"),
        }
    }
}

impl Error for NotForwarded {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Silent(_) | Self::Unasked => None,
            Self::Broken(error) => Some(error),
            Self::Invalid(error) => Some(error),
        }
    }
}

impl From<hyper::Error> for NotForwarded {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(error)
    }
}

/// Has a service answer a request. Bodies flow as they come, in both directions; a connection that
/// changes its protocol is cut when the VM is gone.
pub(crate) async fn forward(
    mut request: Request<Incoming>,
    service: &Service,
    ends: Ends,
    gone: CancellationToken,
) -> Result<Response<Body>, NotForwarded> {
    // HTTP/2 has no upgrades of this kind.
    let protocol = asked_protocol(&request).filter(|_| !service.h2c);
    let client = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
    let stream = connect(service.port, ends).await?;
    let mut response = if service.h2c {
        over_http2(stream, for_http2(request, ends)?).await?
    } else {
        over_http1(stream, for_http1(request, protocol, ends)?).await?
    };
    let protocol = response.headers().get(UPGRADE).cloned();
    drop_hop_by_hop(response.headers_mut());
    *response.version_mut() = Version::HTTP_11;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let client = client.ok_or(NotForwarded::Unasked)?;
        ask_for(protocol, response.headers_mut());
        tokio::spawn(splice(client, hyper::upgrade::on(&mut response), gone));
    }
    Ok(response.map(Body::new))
}

/// The protocol that a client wants its connection to change to.
fn asked_protocol<B>(request: &Request<B>) -> Option<HeaderValue> {
    let headers = request.headers();
    let is_asked = request.version() == Version::HTTP_11
        && tokens(headers, CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| is_asked).cloned()
}

fn ask_for(protocol: Option<HeaderValue>, headers: &mut HeaderMap) {
    if let Some(protocol) = protocol {
        headers.insert(UPGRADE, protocol);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

async fn connect(port: i32, ends: Ends) -> Result<TcpStream, NotForwarded> {
    let silent = || NotForwarded::Silent(port);
    let port_number = u16::try_from(port).map_err(|_| silent())?;
    // The server itself is no service, and would forward to itself without end.
    if port_number == ends.server.port() {
        return Err(silent());
    }
    // A program told to listen on `localhost` may have taken either.
    let addresses = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port_number)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port_number)),
    ];
    match timeout(MOST_CONNECT_TIME, TcpStream::connect(&addresses[..])).await {
        Ok(Ok(stream)) => {
            // Events shall not wait for acknowledgements; without it they are late, not lost.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(_)) | Err(_) => Err(silent()),
    }
}

async fn over_http1(
    stream: TcpStream,
    request: Request<Incoming>,
) -> Result<Response<Incoming>, NotForwarded> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the bodies.
    tokio::spawn(connection.with_upgrades());
    Ok(sender.send_request(request).await?)
}

async fn over_http2(
    stream: TcpStream,
    request: Request<Incoming>,
) -> Result<Response<Incoming>, NotForwarded> {
    let executor = TokioExecutor::new();
    let (mut sender, connection) = http2::handshake(executor, TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

fn for_http1(
    request: Request<Incoming>,
    protocol: Option<HeaderValue>,
    ends: Ends,
) -> Result<Request<Incoming>, NotForwarded> {
    let (mut parts, body) = request.into_parts();
    let host = prepare(&mut parts, ends)?;
    parts.headers.insert(HOST, host);
    ask_for(protocol, &mut parts.headers);
    // Else a GET with a body of unknown length would lose it.
    if !body.is_end_stream() && !parts.headers.contains_key(CONTENT_LENGTH) {
        let chunked = HeaderValue::from_static("chunked");
        parts.headers.insert(TRANSFER_ENCODING, chunked);
    }
    parts.version = Version::HTTP_11;
    parts.uri = path_of(&parts.uri).into();
    Ok(Request::from_parts(parts, body))
}

fn for_http2(request: Request<Incoming>, ends: Ends) -> Result<Request<Incoming>, NotForwarded> {
    let (mut parts, body) = request.into_parts();
    let takes_trailers = tokens(&parts.headers, TE).any(|token| token == "trailers");
    let host = prepare(&mut parts, ends)?;
    parts.headers.remove(HOST);
    if takes_trailers {
        let trailers = HeaderValue::from_static("trailers");
        parts.headers.insert(TE, trailers);
    }
    parts.version = Version::HTTP_2;
    let uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(host.as_bytes())
        .path_and_query(path_of(&parts.uri))
        .build();
    parts.uri = uri.map_err(NotForwarded::Invalid)?;
    Ok(Request::from_parts(parts, body))
}

fn path_of(uri: &Uri) -> PathAndQuery {
    let root = || PathAndQuery::from_static("/");
    uri.path_and_query().cloned().unwrap_or_else(root)
}

/// Makes the headers those of a forwarded request; gives the host that was asked for.
fn prepare(parts: &mut Parts, ends: Ends) -> Result<HeaderValue, NotForwarded> {
    let headers = &mut parts.headers;
    let host = authority(&parts.uri, headers);
    let host = host.as_ref().map_or("", Authority::as_str);
    let value = |text: &str| {
        HeaderValue::try_from(text).map_err(|error| NotForwarded::Invalid(error.into()))
    };
    let host = value(host)?;
    drop_hop_by_hop(headers);
    // It has been answered: the body is on its way.
    headers.remove(EXPECT);
    headers.remove(FORWARDED);
    let client = ends.client.ip().to_canonical();
    let forwarded_for = value(&behind_others(headers, client))?;
    headers.insert(FORWARDED_FOR, forwarded_for);
    headers.insert(FORWARDED_HOST, host.clone());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    Ok(host)
}

/// The client's address, behind those that proxies before this one have seen.
fn behind_others(headers: &HeaderMap, client: IpAddr) -> String {
    let others = tokens(headers, FORWARDED_FOR).map(str::to_owned);
    let all: Vec<_> = others.chain([client.to_string()]).collect();
    all.join(", ")
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<_> = tokens(headers, CONNECTION).map(str::to_owned).collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The parts of a header that is a list.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

async fn splice(client: OnUpgrade, vm: OnUpgrade, gone: CancellationToken) {
    let copying = async {
        let (client, vm) = (client.await?, vm.await?);
        let (mut client, mut vm) = (TokioIo::new(client), TokioIo::new(vm));
        // An end that breaks off is the end of both.
        let _ = copy_bidirectional(&mut client, &mut vm).await;
        Ok::<_, hyper::Error>(())
    };
    select! {
        copied = copying => if let Err(error) = copied {
            tracing::debug!(%error, "a connection did not change its protocol");
        },
        () = gone.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_host_name_says_service_and_vm() {
        let expected = Target {
            service: "web-2".to_owned(),
            vm_id: "01234567-89ab-cdef-0123-456789abcdef".to_owned(),
        };
        let host = format!("Web-2--{}.PROXY.localhost", HEX.to_uppercase());
        assert_eq!(Target::parse(&host), Some(expected));
        for (other, vm_id) in [("web--0123.proxy.x", ""), ("web--.proxy.x", "")] {
            assert_eq!(Target::parse(other).unwrap().vm_id, vm_id);
        }
        for api in [
            "localhost",
            "127.0.0.1",
            "web.proxy.localhost",
            &format!("web--{HEX}.localhost"),
            &format!("web--{HEX}.proxy"),
            &format!("web--{HEX}.proxy."),
        ] {
            assert_eq!(Target::parse(api), None, "{api}");
        }
    }

    #[test]
    fn what_concerns_one_connection_is_dropped() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip"),
            ("accept", "*/*"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        drop_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
    }
}
