//! HTTP/2, for clients that take it when it is offered.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answers::{EXIT, TICK, Then, tick};
use super::routes::{Request, Stub};

/// As many as servers and proxies allow on a connection.
const STREAMS: u32 = 200;

pub(super) async fn serve<S>(socket: S, stub: Arc<Stub>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(STREAMS);
    let mut connection = builder.handshake(socket).await.map_err(io::Error::other)?;
    while let Some(exchange) = connection.accept().await {
        let (request, respond) = exchange.map_err(io::Error::other)?;
        tokio::spawn(exchange_one(request, respond, Arc::clone(&stub)));
    }
    Ok(())
}

async fn exchange_one(
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    stub: Arc<Stub>,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let header = |name| {
        let value = head.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    let mut request = Request {
        method: head.method.to_string(),
        path: head
            .uri
            .path_and_query()
            .map_or("", |path| path.as_str())
            .to_owned(),
        wants_stream: header("accept").contains("ndjson"),
        key: header("x-api-key").to_owned(),
        ..Request::default()
    };
    let is_kept = stub.keeps_body(&request);
    let mut kept = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        request.length += piece.len() as u64;
        if is_kept {
            kept.extend_from_slice(&piece);
        }
    }
    request.body = kept.into();
    let answer = stub.answer(request).await;
    let head = http::Response::builder()
        .status(answer.status)
        .header("content-type", answer.kind);
    let head = head.body(()).expect("status and header are valid");
    let mut stream = respond.send_response(head, false)?;
    for (part, times) in &answer.body {
        for _ in 0..*times {
            send(&mut stream, part.clone()).await?;
        }
    }
    match answer.then {
        Then::Nothing => {}
        Then::Ticks(count) => {
            for _ in 0..count {
                tokio::time::sleep(TICK).await;
                send(&mut stream, tick()).await?;
            }
            send(&mut stream, Bytes::from_static(EXIT)).await?;
        }
        Then::Silence => {
            poll_fn(|context| stream.poll_reset(context)).await?;
        }
    }
    stream.send_data(Bytes::new(), true)
}

/// Waits for the client to take it.
async fn send(stream: &mut SendStream<Bytes>, mut data: Bytes) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        while stream.capacity() == 0 {
            let grown = poll_fn(|context| stream.poll_capacity(context)).await;
            grown.ok_or(h2::Reason::CANCEL)??;
        }
        let piece = data.split_to(stream.capacity().min(data.len()));
        stream.send_data(piece, false)?;
    }
    Ok(())
}
