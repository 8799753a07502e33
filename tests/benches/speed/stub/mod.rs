//! The server of the benches. It makes each answer once, and from then on only writes it, so that
//! it is not what is measured. One thread: the client has the other core.

mod answers;
mod http1;
mod http2;
mod routes;
mod vms;

use std::fs::File;
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::{Failure, Report};
use routes::Stub;

/// Serves until its standard input ends. Tells its address first; then, for each line it is given,
/// what it has counted since the last one.
pub(crate) fn run(key: String, certificate: Option<&Path>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let tls = certificate.map(acceptor).transpose()?;
        let stub = Arc::new(Stub::new(key, base_url(address, tls.is_some())));
        println!("{}", stub.base_url());
        std::thread::spawn({
            let stub = Arc::clone(&stub);
            move || tell(&stub)
        });
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let (stub, tls) = (Arc::clone(&stub), tls.clone());
            stub.count_connection();
            // Clients go when they have what they want: that is no error.
            tokio::spawn(async move {
                let Some(tls) = tls else {
                    return http1::serve(socket, &stub).await;
                };
                let socket = tls.accept(socket).await?;
                match socket.get_ref().1.alpn_protocol() {
                    Some(b"h2") => http2::serve(socket, stub).await,
                    _ => http1::serve(socket, &stub).await,
                }
            });
        }
    })
}

fn base_url(address: SocketAddr, is_tls: bool) -> String {
    match is_tls {
        true => format!("https://localhost:{}", address.port()),
        false => format!("http://{address}"),
    }
}

/// Its certificate goes to this file.
fn acceptor(certificate: &Path) -> Result<TlsAcceptor, Failure> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    // Whatever a path leads to, a file of somebody else is left alone.
    File::create_new(certificate)?.write_all(made.cert.pem().as_bytes())?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn tell(stub: &Stub) {
    for _ in std::io::stdin().lock().lines() {
        let report: Report = stub.take_counts();
        let line = serde_json::json!(report).to_string();
        if writeln!(std::io::stdout(), "{line}").is_err() {
            break;
        }
    }
    std::process::exit(0);
}
