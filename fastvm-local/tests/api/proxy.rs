//! Services of VMs, reached by their host names. What listens is a task of the test: VMs share the
//! host's network.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

/// What the proxy makes of a service of a VM.
struct Proxied {
    api: Api,
    vm: String,
    host: String,
}

impl Proxied {
    async fn to(port: u16, h2c: bool) -> Self {
        let api = Api::start().await;
        let vm = api.vm().await;
        let service = json!({"name": "web", "port": port, "h2c": h2c});
        let answer = api.post(&format!("{vm}/services"), service.clone()).await;
        assert_eq!(answer, (201, service));
        let hex = vm.trim_start_matches("/v1/vms/").replace('-', "");
        let host = format!("web--{hex}.proxy.test:{}", api.server.address().port());
        Self { api, vm, host }
    }

    fn client(&self, builder: reqwest::ClientBuilder) -> reqwest::Client {
        let (name, _) = self.host.split_once(':').unwrap();
        let builder = builder.resolve(name, self.api.server.address());
        builder.no_proxy().build().unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let client = self.client(reqwest::Client::builder());
        answer(client.get(self.url(path))).await
    }
}

/// A program that listens; it speaks HTTP/1.1 and HTTP/2 and shows what it was asked.
async fn listener() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let service =
                    service_fn(|request| async { Ok::<_, Infallible>(show(request).await) });
                let http = auto::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

async fn show(request: Request<Incoming>) -> Response<Body> {
    match request.uri().path() {
        "/echo" => Response::new(Body::new(request.into_body())),
        "/trailers" => {
            let takes_trailers = request
                .headers()
                .get("te")
                .is_some_and(|te| te == "trailers");
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from(u16::from(!takes_trailers)));
            let body = Full::from("message").with_trailers(async { Some(Ok(trailers)) });
            Response::new(Body::new(body))
        }
        _ => {
            let header = |name: &str| {
                request
                    .headers()
                    .get(name)
                    .map(|value| value.to_str().unwrap())
            };
            let shown = json!({
                "method": request.method().as_str(),
                "uri": request.uri().to_string(),
                "isHttp2": request.version() == Version::HTTP_2,
                "host": header("host"),
                "forwardedFor": header("x-forwarded-for"),
                "forwardedHost": header("x-forwarded-host"),
                "forwardedProto": header("x-forwarded-proto"),
                "mine": header("x-mine"),
                "keepAlive": header("keep-alive"),
            });
            let mut response = Response::new(shown.to_string().into());
            let headers = response.headers_mut();
            headers.insert("content-type", HeaderValue::from_static("application/json"));
            headers.insert("keep-alive", HeaderValue::from_static("timeout=5"));
            response
        }
    }
}

#[tokio::test]
async fn a_request_for_a_host_name_reaches_the_service_without_a_key() {
    let proxied = Proxied::to(listener().await.port(), false).await;
    let client = proxied.client(reqwest::Client::builder());
    let request = client
        .put(proxied.url("/v1/vms?a=1"))
        .header("connection", "x-mine")
        .header("x-mine", "1")
        .header("keep-alive", "timeout=9")
        .header("x-forwarded-for", "192.0.2.1");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get("keep-alive"), None);
    assert_eq!(response.headers().get("allow"), None);
    let expected = json!({
        "method": "PUT",
        "uri": "/v1/vms?a=1",
        "isHttp2": false,
        "host": proxied.host,
        "forwardedFor": "192.0.2.1, 127.0.0.1",
        "forwardedHost": proxied.host,
        "forwardedProto": "http",
        "mine": null,
        "keepAlive": null,
    });
    assert_eq!(response.json::<Value>().await.unwrap(), expected);
    // The API's own host is the API's still.
    assert_eq!(proxied.api.get("/v1/vms").await.0, 200);
}

#[tokio::test]
async fn bodies_flow_as_they_come_in_both_directions() {
    let proxied = Proxied::to(listener().await.port(), false).await;
    for h2c in [false, true] {
        let service = format!("{}/services/web", proxied.vm);
        let body = json!({"port": listener().await.port(), "h2c": h2c});
        assert_eq!(proxied.api.put_json(&service, body).await.0, 200);
        let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
        let chunks = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        let frames = chunks.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
        let client = proxied.client(reqwest::Client::builder());
        let request = client.post(proxied.url("/echo"));
        let request = request.body(reqwest::Body::wrap(StreamBody::new(frames)));
        let mut response = request.send().await.unwrap();
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            sender.send(Bytes::from(event)).await.unwrap();
            assert_eq!(response.chunk().await.unwrap().unwrap(), event);
        }
        drop(sender);
        assert_eq!(response.chunk().await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_h2c_service_is_spoken_to_in_http2_and_its_trailers_are_kept() {
    let proxied = Proxied::to(listener().await.port(), true).await;
    let (status, shown) = proxied.get("/shown").await;
    assert_eq!((status, &shown["isHttp2"]), (200, &json!(true)));
    assert_eq!(shown["uri"], proxied.url("/shown"));
    assert_eq!(shown["forwardedHost"], proxied.host);

    let client = proxied.client(reqwest::Client::builder().http2_prior_knowledge());
    let request = client
        .post(proxied.url("/trailers"))
        .header("te", "trailers");
    let response = http::Response::from(request.send().await.unwrap());
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), "message");
}

#[tokio::test]
async fn a_websocket_is_opened_echoes_and_is_cut_when_the_vm_is_deleted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() {
                    socket.send(message).await.unwrap();
                }
            }
        }
    });
    let proxied = Proxied::to(port, false).await;
    let stream = TcpStream::connect(proxied.api.server.address())
        .await
        .unwrap();
    let url = format!("ws://{}/chat", proxied.host);
    let (mut socket, response) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    assert_eq!(response.status(), 101);
    for text in ["hello", "again"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    assert_eq!(proxied.api.delete(&proxied.vm).await.0, 200);
    assert!(socket.next().await.is_none_or(|message| message.is_err()));
}

#[tokio::test]
async fn what_is_not_there_is_404_502_or_503() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut proxied = Proxied::to(port, false).await;
    let silent = json!({"error": format!("nothing listens on port {port} of the VM")});
    assert_eq!(proxied.get("/").await, (502, silent));

    // The server itself is no service.
    let own_port = proxied.api.server.address().port();
    let service = format!("{}/services/web", proxied.vm);
    proxied
        .api
        .put_json(&service, json!({"port": own_port}))
        .await;
    assert_eq!(proxied.get("/").await.0, 502);

    assert_eq!(
        proxied
            .api
            .post(&format!("{}/pause", proxied.vm), json!({}))
            .await
            .0,
        200
    );
    let paused = json!({"error": "the VM is paused"});
    assert_eq!(proxied.get("/").await, (503, paused));

    let no_such_service = (404, json!({"error": "no such service"}));
    let host = proxied.host.clone();
    for other in [
        host.replace("web--", "other--"),
        format!("web--{}.proxy.test:80", "0".repeat(32)),
        "web--1.proxy.test:80".to_owned(),
    ] {
        proxied.host = other;
        assert_eq!(proxied.get("/").await, no_such_service);
    }
}

#[tokio::test]
async fn a_program_in_the_vm_answers() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let proxied = Proxied::to(port, false).await;
    let found = proxied.api.sh(&proxied.vm, "command -v python3").await;
    if found["exitCode"] != 0 {
        eprintln!("there is no python3 to listen with");
        return;
    }
    let line = format!(
        "mkdir /root/www && echo hello > /root/www/index.txt && cd /root/www && \
         (python3 -m http.server --bind 127.0.0.1 {port} > /dev/null 2>&1 &)"
    );
    proxied.api.sh(&proxied.vm, &line).await;
    let client = proxied.client(reqwest::Client::builder());
    let get = async || client.get(proxied.url("/index.txt")).send().await.unwrap();
    eventually!("it listens", get().await.status() == 200);
    assert_eq!(get().await.text().await.unwrap(), "hello\n");
}
