//! HTTP/1.1 with kept connections, by hand.

use std::io;

use bytes::BytesMut;
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::answers::{Part, TICK, Then, chunk, last_chunks, tick};
use super::routes::{Request, Stub};

/// How much of a body is read at a time.
const READ: usize = 256 * 1024;

pub(super) async fn serve<S>(socket: S, stub: &Stub) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = Connection {
        socket,
        buffer: BytesMut::with_capacity(READ),
    };
    while let Some(head) = connection.head().await? {
        let mut request = Request::default();
        let framing = read_head(&head, &mut request);
        if framing.expects_continue {
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            connection.socket.write_all(go_on).await?;
        }
        let is_kept = stub.keeps_body(&request);
        let mut body = Vec::new();
        let kept = is_kept.then_some(&mut body);
        request.length = match framing.length {
            Some(length) => connection.body(length, kept).await?,
            None => connection.chunks(kept).await?,
        };
        request.body = body.into();
        let answer = stub.answer(request).await;
        write_parts(&mut connection.socket, &answer.http1).await?;
        match answer.then {
            Then::Nothing => {}
            Then::Ticks(count) => ticks(&mut connection.socket, count).await?,
            Then::Silence => {
                connection.socket.read_u8().await?;
            }
        }
    }
    Ok(())
}

struct Connection<S> {
    socket: S,
    /// What has been read and not looked at.
    buffer: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn head(&mut self) -> io::Result<Option<BytesMut>> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                return Ok(Some(self.buffer.split_to(end + 4)));
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ);
        self.socket.read_buf(&mut self.buffer).await
    }

    async fn fill_more(&mut self) -> io::Result<()> {
        match self.fill().await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Takes so many bytes, and keeps them if there is where to.
    async fn body(&mut self, length: u64, mut kept: Option<&mut Vec<u8>>) -> io::Result<u64> {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() {
                self.fill_more().await?;
            }
            let here = left.min(self.buffer.len() as u64);
            left -= here;
            // The buffer is used again: memory that is new each time is not cheap.
            let piece = self.buffer.split_to(here as usize);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(&piece);
            }
        }
        Ok(length)
    }

    async fn chunks(&mut self, mut kept: Option<&mut Vec<u8>>) -> io::Result<u64> {
        let mut length = 0;
        loop {
            let size = loop {
                if let Some(end) = memmem::find(&self.buffer, b"\r\n") {
                    let line = self.buffer.split_to(end + 2);
                    let digits = std::str::from_utf8(&line[..end]).ok();
                    let size = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
                    break size.ok_or(io::ErrorKind::InvalidData)?;
                }
                self.fill_more().await?;
            };
            self.body(size, kept.as_deref_mut()).await?;
            self.body(2, None).await?;
            match size {
                0 => return Ok(length),
                size => length += size,
            }
        }
    }
}

async fn write_parts(socket: &mut (impl AsyncWrite + Unpin), parts: &[Part]) -> io::Result<()> {
    for (part, times) in parts {
        for _ in 0..*times {
            socket.write_all(part).await?;
        }
    }
    socket.flush().await
}

async fn ticks(socket: &mut (impl AsyncWrite + Unpin), count: u64) -> io::Result<()> {
    for _ in 0..count {
        tokio::time::sleep(TICK).await;
        socket.write_all(&chunk(&tick())).await?;
        socket.flush().await?;
    }
    socket.write_all(&last_chunks()).await?;
    socket.flush().await
}

struct Framing {
    /// Chunked if there is none.
    length: Option<u64>,
    expects_continue: bool,
}

fn read_head(head: &[u8], request: &mut Request) -> Framing {
    let mut framing = Framing {
        length: Some(0),
        expects_continue: false,
    };
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    request.method = words.next().unwrap_or_default().to_owned();
    request.path = words.next().unwrap_or_default().to_owned();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        match &*name {
            "content-length" => framing.length = value.parse().ok(),
            "transfer-encoding" => {
                framing.length = None;
                request.is_chunked = true;
            }
            "expect" => framing.expects_continue = true,
            "accept" => request.wants_stream = value.contains("ndjson"),
            "x-api-key" => request.key = value.to_owned(),
            _ => {}
        }
    }
    framing
}
