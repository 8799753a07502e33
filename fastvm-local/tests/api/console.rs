//! The console of a VM, over its WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(10);

struct Console {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What was shown and not yet looked for.
    unread: String,
}

impl Console {
    async fn open(api: &Api, vm: &str) -> Self {
        let url = url(api, &token(api, vm).await);
        let (socket, _) = connect_async(url).await.unwrap();
        let mut console = Self {
            socket,
            unread: String::new(),
        };
        console.resize(80, 24).await;
        console
    }

    async fn send(&mut self, message: impl Into<Message>) {
        self.socket.send(message.into()).await.unwrap();
    }

    async fn resize(&mut self, cols: u16, rows: u16) {
        let control = json!({"type": "resize", "cols": cols, "rows": rows});
        self.send(control.to_string()).await;
    }

    /// Waits until this text is shown.
    async fn shows(&mut self, text: &str) {
        loop {
            if let Some(place) = self.unread.find(text) {
                self.unread.drain(..place + text.len());
                return;
            }
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match next {
                Ok(Some(Ok(Message::Binary(bytes)))) => {
                    self.unread.push_str(&String::from_utf8_lossy(&bytes));
                }
                Ok(Some(Ok(Message::Ping(_)))) => {}
                other => panic!("{text:?} is not shown: {other:?} after {:?}", self.unread),
            }
        }
    }

    /// Waits until the server closes the socket; all that was shown, and why it closed.
    async fn closed(mut self) -> (Vec<u8>, CloseFrame) {
        let mut shown = self.unread.into_bytes();
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match next
                .expect("it goes on")
                .expect("it is closed with a reason")
            {
                Ok(Message::Binary(bytes)) => {
                    assert!(bytes.len() <= 1024 * 1024);
                    shown.extend_from_slice(&bytes);
                }
                Ok(Message::Close(frame)) => return (shown, frame.expect("a reason")),
                Ok(_) => {}
                Err(error) => panic!("cut: {error}"),
            }
        }
    }
}

async fn token(api: &Api, vm: &str) -> Value {
    let request = api.request(Method::POST, &format!("{vm}/console-token"));
    let (status, token) = answer(request).await;
    assert_eq!(status, 200, "{token}");
    token
}

fn url(api: &Api, token: &Value) -> String {
    let host = api.server.base_url().replacen("http", "ws", 1);
    let text = |key: &str| token[key].as_str().unwrap();
    format!("{host}{}?session={}", text("websocketPath"), text("token"))
}

/// The status and the error of a socket that is not opened.
async fn refusal(url: String) -> (u16, String) {
    match connect_async(url).await {
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            let body: Value = serde_json::from_slice(body).unwrap();
            let error = body["error"].as_str().unwrap().to_owned();
            (response.status().as_u16(), error)
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_console_runs_what_is_typed_in_a_login_shell() {
    let api = Api::start().await;
    let launch = json!({"machineType": "c1m2", "diskGiB": 1, "envVars": {"GREETING": "hej"}});
    let vm = api.launch(launch).await;
    let mut console = Console::open(&api, &vm).await;
    console
        .send("echo $GREETING-$TERM-$PWD-$((6*7)); tty\r")
        .await;
    console.shows("hej-xterm-256color-/root-42\r\n").await;
    console.shows("/dev/pts/").await;
    // Only a login shell reads it.
    api.sh(&vm, "echo 'echo profile-$((1+1))' >/root/.profile")
        .await;
    Console::open(&api, &vm).await.shows("profile-2").await;
    // Binary frames are typed as well.
    console.send(b"echo $((40+4))\r".to_vec()).await;
    console.shows("44\r\n").await;
}

#[tokio::test]
async fn the_terminal_has_the_size_of_the_clients_window() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let mut console = Console::open(&api, &vm).await;
    console.resize(132, 43).await;
    console.send("stty size\r").await;
    console.shows("43 132\r\n").await;
    console.resize(100, 30).await;
    console.resize(0, 0).await;
    console.send("stty size\r").await;
    console.shows("30 100\r\n").await;
}

#[tokio::test]
async fn ctrl_c_interrupts_a_program() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let seconds = unique_seconds();
    let mut console = Console::open(&api, &vm).await;
    console.send(format!("sleep {seconds}\r")).await;
    eventually!("it runs", is_running(&seconds));
    console.send("\x03").await;
    console.send("echo code $?\r").await;
    console.shows("code 130\r\n").await;
    assert!(!is_running(&seconds));
}

#[tokio::test]
async fn the_end_of_the_shell_closes_the_socket() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let seconds = unique_seconds();
    let mut console = Console::open(&api, &vm).await;
    // What runs in the background and has the terminal open does not keep the socket open.
    console
        .send(format!("(trap '' HUP; sleep {seconds}) &\r"))
        .await;
    eventually!("it runs", is_running(&seconds));
    console.send("echo last-$((1+1)); exit\r").await;
    let (shown, close) = console.closed().await;
    assert!(String::from_utf8_lossy(&shown).contains("last-2\r\n"));
    assert_eq!(close.code, CloseCode::Normal);
    assert!(is_running(&seconds));
}

#[tokio::test]
async fn a_token_opens_one_console_of_its_vm() {
    let api = Api::start().await;
    let (vm, other) = (api.vm().await, api.vm().await);
    let given = token(&api, &vm).await;
    assert_eq!(given["expiresInSec"], 60);
    let good = url(&api, &given);

    let of_other = good.replace(&vm, &other);
    let wrong = format!("{good}x");
    let (without, _) = good.split_once('?').unwrap();
    for url in [of_other, wrong, without.to_owned()] {
        let (status, error) = refusal(url).await;
        assert_eq!(status, 403);
        assert!(error.contains("session"), "{error}");
    }
    // Not a WebSocket: refused as any request is, and the token is still good.
    let plain = api.http.get(good.replacen("ws", "http", 1));
    let (status, error) = answer(plain).await;
    assert_eq!(status, 400);
    assert!(error["error"].is_string());
    let wrong = api.http.get(format!("{}x", good.replacen("ws", "http", 1)));
    assert_eq!(answer(wrong).await.0, 403);

    let (socket, _) = connect_async(&good).await.unwrap();
    assert_eq!(refusal(good.clone()).await.0, 403);
    drop(socket);
    assert_eq!(refusal(good).await.0, 403);
}

#[tokio::test]
async fn only_a_vm_that_runs_has_a_console() {
    let api = Api::start().await;
    let metadata = json!({"fastvm-local/boot": "never"});
    let launch = json!({"machineType": "c1m2", "diskGiB": 1, "metadata": metadata});
    let vm = api.launch(launch).await;
    let create = |path: &str| api.request(Method::POST, &format!("{path}/console-token"));
    assert_eq!(answer(create(&vm)).await.0, 409);
    assert_eq!(answer(create("/v1/vms/none")).await.0, 404);

    let vm = api.vm().await;
    let url = url(&api, &token(&api, &vm).await);
    api.delete(&vm).await;
    assert_eq!(refusal(url).await.0, 404);
}

#[tokio::test]
async fn deleting_the_vm_closes_its_consoles() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let mut console = Console::open(&api, &vm).await;
    console.send("echo up-$((1+1)); cat\r").await;
    console.shows("up-2\r\n").await;
    let ((_, close), _) = tokio::join!(console.closed(), api.delete(&vm));
    assert_eq!(
        (close.code, close.reason.as_str()),
        (CloseCode::Away, "the VM has ended")
    );
}

#[tokio::test]
async fn the_stop_of_the_server_closes_consoles() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let mut console = Console::open(&api, &vm).await;
    console.send("echo up-$((1+1))\r").await;
    console.shows("up-2\r\n").await;
    let ((_, close), ()) = tokio::join!(console.closed(), api.server.stop());
    assert_eq!(close.code, CloseCode::Away);
}

#[tokio::test]
async fn the_shell_ends_when_its_client_goes() {
    let api = Api::start().await;
    let vm = api.vm().await;
    for is_orderly in [true, false] {
        let (seconds, deaf) = (unique_seconds(), unique_seconds());
        let mut console = Console::open(&api, &vm).await;
        console
            .send(format!("sleep {deaf} & sleep {seconds}\r"))
            .await;
        eventually!("both run", is_running(&seconds) && is_running(&deaf));
        if is_orderly {
            console.socket.close(None).await.unwrap();
        } else {
            drop(console);
        }
        eventually!("both end", !is_running(&seconds) && !is_running(&deaf));
    }
}

#[tokio::test]
async fn a_console_that_is_not_read_holds_up_its_program() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let mut console = Console::open(&api, &vm).await;
    console
        .send("stty -onlcr; head -c 30000000 /dev/zero; touch /tmp/done; exit\r")
        .await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(api.sh(&vm, "test -e /tmp/done").await["exitCode"], 1);
    let (shown, close) = console.closed().await;
    assert_eq!(close.code, CloseCode::Normal);
    let zeroes = shown.iter().filter(|byte| **byte == 0).count();
    assert_eq!(zeroes, 30_000_000);
}

#[tokio::test]
async fn the_console_of_a_paused_vm_stands_still() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let post = |action: &str| api.request(Method::POST, &format!("{vm}/{action}"));
    let mut console = Console::open(&api, &vm).await;
    console.send("echo up-$((1+1))\r").await;
    console.shows("up-2\r\n").await;
    assert_eq!(answer(post("pause")).await.0, 200);
    assert_eq!(answer(post("console-token")).await.0, 409);
    console.send("echo later-$((1+1))\r").await;
    let silence = tokio::time::timeout(Duration::from_millis(300), console.shows("later-2"));
    assert!(silence.await.is_err());
    assert_eq!(answer(post("resume")).await.0, 200);
    console.shows("later-2\r\n").await;
}
