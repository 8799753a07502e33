//! A server that answers what a test tells it to, over real sockets, and remembers what it was
//! asked. For the faults that no honest server makes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the stub does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers a status, headers and a body with its length.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// Answers a head that promises this many bytes, sends the body, and closes.
    Cut(u64, Vec<u8>),
    /// Answers a chunked body and closes it properly.
    Chunked(Vec<Vec<u8>>),
    /// Answers a chunked body whose end never comes, and closes the connection.
    ChunkedCut(Vec<Vec<u8>>),
    /// Answers the beginning of a chunked body, and nothing more.
    ChunkedStall(Vec<Vec<u8>>),
    /// Reads the request and closes the connection without an answer.
    Close,
    /// Reads the request and never answers.
    Stall,
    /// Waits, then does as told.
    After(Duration, Box<Reply>),
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, body: &str) -> Self {
        let kind = ("content-type".to_owned(), "application/json".to_owned());
        Self::Answer(status, vec![kind], body.as_bytes().to_vec())
    }

    /// An answer as a proxy in between gives it.
    pub fn html(status: u16) -> Self {
        let kind = ("content-type".to_owned(), "text/html".to_owned());
        Self::Answer(
            status,
            vec![kind],
            b"<html><h1>Bad Gateway</h1></html>".to_vec(),
        )
    }

    /// The same with a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer(_, headers, _) = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST /v1/vms`
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, if it had a length or was chunked.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A running stub.
#[derive(Debug)]
pub struct Stub {
    base_url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Stub {
    /// Answers each request in turn with one of these, and any further one with the last.
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<Reply> = replies.into_iter().collect();
        let count = Mutex::new(0);
        Self::answering(move |_| {
            let mut count = count.lock().expect("no test panics while it holds it");
            *count += 1;
            replies[(*count - 1).min(replies.len() - 1)].clone()
        })
        .await
    }

    /// Answers each request as the function says.
    pub async fn answering(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (seen.clone(), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (log, answer) = (log.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut socket = BufReader::new(socket);
                    while let Some(request) = read_request(&mut socket).await {
                        let reply = answer(&request);
                        log.lock()
                            .expect("no test panics while it holds it")
                            .push(request);
                        if !send(reply, &mut socket).await {
                            break;
                        }
                    }
                });
            }
        });
        Self {
            base_url,
            seen,
            task,
        }
    }

    /// Where it is reached.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.seen
            .lock()
            .expect("no test panics while it holds it")
            .clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_request(socket: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" if lines.is_empty() => {}
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let line = lines.remove(0).trim_end_matches(" HTTP/1.1").to_owned();
    let pairs = lines.iter().filter_map(|line| line.split_once(':'));
    let headers = pairs
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Request {
        line,
        headers,
        body: Vec::new(),
    };
    if let Some(length) = request
        .header("content-length")
        .and_then(|length| length.parse().ok())
    {
        request.body = vec![0; length];
        socket.read_exact(&mut request.body).await.ok()?;
    } else if request.header("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            socket.read_line(&mut size).await.ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            socket.read_exact(&mut chunk).await.ok()?;
            if size == 0 {
                break;
            }
            request.body.extend_from_slice(&chunk[..size]);
        }
    }
    Some(request)
}

/// Answers whether the connection goes on.
async fn send(reply: Reply, socket: &mut BufReader<TcpStream>) -> bool {
    let mut reply = reply;
    while let Reply::After(wait, then) = reply {
        tokio::time::sleep(wait).await;
        reply = *then;
    }
    let (bytes, goes_on) = match reply {
        Reply::Answer(status, headers, body) => {
            let mut head = format!(
                "HTTP/1.1 {status} Stub\r\ncontent-length: {}\r\n",
                body.len()
            );
            for (name, value) in headers {
                head += &format!("{name}: {value}\r\n");
            }
            ([head.as_bytes(), b"\r\n", &body].concat(), true)
        }
        Reply::Cut(length, body) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            ([head.as_bytes(), &body].concat(), false)
        }
        Reply::Chunked(chunks) => ([chunked(&chunks), b"0\r\n\r\n".to_vec()].concat(), true),
        Reply::ChunkedCut(chunks) => (chunked(&chunks), false),
        Reply::ChunkedStall(chunks) => {
            if socket.write_all(&chunked(&chunks)).await.is_err() {
                return false;
            }
            std::future::pending::<()>().await;
            (Vec::new(), false)
        }
        Reply::Stall => {
            std::future::pending::<()>().await;
            (Vec::new(), false)
        }
        Reply::Close | Reply::After(..) => (Vec::new(), false),
    };
    socket.write_all(&bytes).await.is_ok() && goes_on
}

fn chunked(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in chunks {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes
}
