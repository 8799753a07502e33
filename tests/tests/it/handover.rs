//! What a server leaves undone over HTTP/2 was provably not begun, and is sent again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastvm::{Client, ErrorKind, Outcome};
use h2::Reason;
use h2::server::{Builder, SendResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::calls::OUTPUT;

/// What is done with a request that arrived.
#[derive(Clone, Copy)]
enum Act {
    Answer,
    Refuse,
    /// Does not answer as long as the connection is there.
    Hold,
}

/// A server of HTTP/2 alone, and the commands that arrived at it.
struct Server {
    url: String,
    commands: watch::Receiver<Vec<String>>,
}

impl Server {
    /// Takes so many requests at a time over a connection, and does as told with one after the other;
    /// answers those after.
    async fn start(at_a_time: u32, acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let acts = Arc::new(Mutex::new(acts.into_iter().collect::<VecDeque<_>>()));
        let (seen, commands) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, at_a_time, acts.clone(), seen.clone()));
            }
        });
        Self { url, commands }
    }

    fn client(&self) -> Client {
        let client = Client::builder().api_key("k").base_url(&self.url);
        let client = client.connect_timeout(Duration::from_millis(500));
        let client = client.http(|http| http.http2_prior_knowledge());
        client.build().unwrap()
    }

    fn arrived(&self, command: &str) -> usize {
        let commands = self.commands.borrow();
        commands
            .iter()
            .filter(|body| body.contains(command))
            .count()
    }
}

async fn serve(
    socket: TcpStream,
    at_a_time: u32,
    acts: Arc<Mutex<VecDeque<Act>>>,
    commands: watch::Sender<Vec<String>>,
) {
    let mut builder = Builder::new();
    builder.max_concurrent_streams(at_a_time);
    let mut connection = builder.handshake::<_, Bytes>(socket).await.unwrap();
    let mut held = Vec::new();
    while let Some(Ok((request, mut answer))) = connection.accept().await {
        let act = acts.lock().unwrap().pop_front().unwrap_or(Act::Answer);
        match act {
            Act::Refuse => answer.send_reset(Reason::REFUSED_STREAM),
            Act::Hold => {
                commands.send_modify(|commands| commands.push("held".to_owned()));
                held.push(answer);
            }
            Act::Answer => {
                tokio::spawn(respond(request.into_body(), answer, commands.clone()));
            }
        }
    }
}

async fn respond(
    mut body: h2::RecvStream,
    mut answer: SendResponse<Bytes>,
    commands: watch::Sender<Vec<String>>,
) {
    let mut command = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        command.extend_from_slice(&piece);
    }
    let command = String::from_utf8(command).unwrap();
    commands.send_modify(|commands| commands.push(command));
    let head = http::Response::new(());
    let mut body = answer.send_response(head, false).unwrap();
    body.send_data(OUTPUT.into(), true).unwrap();
}

/// A server that closes its first connections when it has read a request, of which it says that the last
/// it has looked at was the one of this number; then it answers.
async fn closing(last_streams: &[u8]) -> Server {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0];
    const NO_ERROR: &[u8] = &[0, 0, 0, 0];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (seen, commands) = watch::channel(Vec::new());
    let last_streams = last_streams.to_vec();
    tokio::spawn(async move {
        for last in last_streams {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(9).any(|part| part == b"\"command\"") {
                assert!(socket.read_buf(&mut request).await.unwrap() > 0);
            }
            let close = [SETTINGS, GOAWAY, &[last], NO_ERROR].concat();
            socket.write_all(&close).await.unwrap();
            socket.shutdown().await.unwrap();
            // A socket with unread data would be reset.
            while socket
                .read(&mut [0; 1024])
                .await
                .is_ok_and(|length| length > 0)
            {}
        }
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, 100, Arc::default(), seen.clone()));
        }
    });
    Server { url, commands }
}

/// A command that is not sent again is known not to have been sent.
async fn assert_not_sent(server: &Server) {
    let once = server.client().vms().run("v", ["true"]).max_retries(0);
    let error = once.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(error.outcome(), Outcome::NotSent);
}

#[tokio::test]
async fn a_command_that_a_closing_service_has_not_looked_at_is_sent_again() {
    let server = closing(&[0, 0]).await;
    server.client().vms().run("v", ["first"]).await.unwrap();
    assert_eq!(server.arrived("first"), 1);
    assert_not_sent(&closing(&[0]).await).await;
}

#[tokio::test]
async fn a_command_that_a_closing_service_may_have_begun_is_not_sent_again() {
    let server = closing(&[1]).await;
    let error = server.client().vms().run("v", ["true"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(server.arrived("true"), 0);
}

#[tokio::test]
async fn a_command_that_the_service_refuses_to_look_at_is_sent_again() {
    let server = Server::start(100, [Act::Refuse, Act::Answer, Act::Refuse]).await;
    let vms = server.client().vms();
    for command in ["first", "second", "third"] {
        vms.run("v", [command]).await.unwrap();
        assert_eq!(server.arrived(command), 1);
    }
    assert_not_sent(&Server::start(100, [Act::Refuse]).await).await;
}

#[tokio::test]
async fn a_command_that_no_connection_takes_goes_over_another() {
    let server = Server::start(1, [Act::Hold]).await;
    let vms = server.client().vms();
    let held = tokio::spawn(vms.run("v", ["long"]).into_future());
    let mut commands = server.commands.clone();
    let has_held = |commands: &Vec<String>| commands.contains(&"held".to_owned());
    commands.wait_for(has_held).await.unwrap();
    let start = Instant::now();
    vms.run("v", ["short"]).await.unwrap();
    assert!(start.elapsed() > Duration::from_secs(5));
    assert_eq!(server.arrived("short"), 1);
    // Those after it need not wait.
    let start = Instant::now();
    vms.run("v", ["next"]).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(!held.is_finished());
    held.abort();
}
