//! A TCP proxy that does to a connection what networks do: cuts, resets, stalls, delays, corrupts
//! and throttles it, in either direction, after so many bytes or behind so much text of a request.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use fastvm_tests::{FaultProxy, Trouble, Way};
//!
//! let proxy = FaultProxy::bind().await;
//! let server = fastvm_local::Server::builder().public_url(proxy.base_url()).start().await?;
//! proxy.forward_to(server.address());
//! let client = fastvm_tests::client(&proxy.base_url(), server.api_key());
//!
//! // The connection breaks in the middle of the answer to the next `GET /v1/vms`; a repeat gets it.
//! proxy.add(Trouble::Reset.of(Way::ToClient).when("GET /v1/vms ").after(20).once());
//! assert_eq!(client.vms().list().await?.len(), 0);
//! assert_eq!(proxy.accepted(), 2);
//! # Ok(())
//! # }
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The direction in which bytes flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Requests.
    ToServer,
    /// Answers.
    ToClient,
}

/// What can happen to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Both sides find the connection reset.
    Reset,
    /// Both sides find the connection closed in good order.
    Close,
    /// The receiver finds the end of the data; the other direction goes on.
    HalfClose,
    /// Nothing passes any more, in this direction; the connection stays open.
    Stall,
    /// Nothing passes for so long; then it goes on.
    Delay(Duration),
    /// So many bytes arrive with their bits flipped.
    Corrupt(usize),
    /// From here on so many bytes pass in a second.
    Throttle(u64),
    /// From here on everything takes so long to arrive.
    Latency(Duration),
}

impl Trouble {
    /// This trouble for all connections and without end, from their first byte on.
    pub fn of(self, way: Way) -> Fault {
        Fault {
            trouble: self,
            way,
            when: None,
            after: 0,
            times: usize::MAX,
        }
    }
}

/// When and where a [`Trouble`] strikes.
#[derive(Clone, Debug)]
pub struct Fault {
    trouble: Trouble,
    way: Way,
    when: Option<Vec<u8>>,
    after: u64,
    times: usize,
}

impl Fault {
    /// Only on a connection whose client has just sent this text, such as `POST /v1/vms HTTP`.
    pub fn when(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.when = Some(text.into());
        self
    }

    /// After so many more bytes have passed in its direction: counted behind the text of
    /// [`when`](Self::when), or else from the connection's beginning.
    pub fn after(mut self, bytes: u64) -> Self {
        self.after = bytes;
        self
    }

    /// On the first connection that fits, once.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// So many times.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}

/// A running proxy, without any fault at first. Its connections end when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: Mutex<Option<SocketAddr>>,
    faults: Mutex<Vec<Fault>>,
    accepted: AtomicUsize,
    open: watch::Sender<usize>,
    /// Goes up when all open connections are to be reset.
    generation: watch::Sender<u64>,
}

impl FaultProxy {
    /// A proxy on a free port. It accepts connections once it is told whom they are for.
    pub async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            upstream: Mutex::default(),
            faults: Mutex::default(),
            accepted: AtomicUsize::new(0),
            open: watch::Sender::new(0),
            generation: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            task,
        }
    }

    /// A proxy in front of this address.
    pub async fn to(upstream: SocketAddr) -> Self {
        let proxy = Self::bind().await;
        proxy.forward_to(upstream);
        proxy
    }

    /// Connections made from now on are for this address.
    pub fn forward_to(&self, upstream: SocketAddr) {
        *lock(&self.shared.upstream) = Some(upstream);
    }

    /// Where clients reach it.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a fault behind those there are. One without [`when`](Fault::when) strikes connections
    /// that are made from now on.
    pub fn add(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    /// Takes all faults back. What has struck a connection stays.
    pub fn heal(&self) {
        lock(&self.shared.faults).clear();
    }

    /// Resets every connection that is open now.
    pub fn reset_all(&self) {
        self.shared.generation.send_modify(|number| *number += 1);
    }

    /// How many connections were made so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        *self.shared.open.borrow()
    }

    /// Waits until at most so many connections are open.
    ///
    /// # Panics
    ///
    /// If that takes more than ten seconds.
    pub async fn until_open_at_most(&self, count: usize) {
        let mut open = self.shared.open.subscribe();
        let closed = open.wait_for(|open| *open <= count);
        let closed = tokio::time::timeout(Duration::from_secs(10), closed).await;
        drop(closed.unwrap_or_else(|_| panic!("{} connections are open", self.open())));
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
        self.reset_all();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let upstream = *lock(&shared.upstream);
        let Some(upstream) = upstream else { continue };
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        shared.open.send_modify(|open| *open += 1);
        let shared = shared.clone();
        tokio::spawn(async move {
            if let Ok(server) = TcpStream::connect(upstream).await {
                relay(client, server, &shared).await;
            }
            shared.open.send_modify(|open| *open -= 1);
        });
    }
}

/// How a connection ends.
enum End {
    Closed,
    Reset,
}

async fn relay(mut client: TcpStream, mut server: TcpStream, shared: &Shared) {
    let mut generation = shared.generation.subscribe();
    let struck = Struck::new(shared);
    let end = {
        // Small writes are passed on as they come.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let requests = pump(Way::ToServer, from_client, to_server, &struck);
        let answers = pump(Way::ToClient, from_server, to_client, &struck);
        tokio::select! {
            ended = async { tokio::try_join!(requests, answers) } => ended.err().unwrap_or(End::Closed),
            _ = generation.changed() => End::Reset,
        }
    };
    if let End::Reset = end {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// The faults that are about to strike one connection.
struct Struck<'a> {
    shared: &'a Shared,
    coming: Mutex<Vec<Fault>>,
}

impl<'a> Struck<'a> {
    fn new(shared: &'a Shared) -> Self {
        let coming = take(shared, |fault| fault.when.is_none());
        Self {
            shared,
            coming: Mutex::new(coming),
        }
    }

    /// The client has sent this: `sent` up to `seen` was looked at before.
    fn look(&self, sent: &[u8], seen: usize) {
        let found = take(self.shared, |fault| {
            let Some(text) = &fault.when else {
                return false;
            };
            let fresh = &sent[seen.saturating_sub(text.len() - 1).min(sent.len())..];
            fresh.windows(text.len()).any(|window| window == text)
        });
        lock(&self.coming).extend(found);
    }

    /// What strikes next in this direction, and after how many bytes.
    fn next(&self, way: Way) -> Option<u64> {
        let coming = lock(&self.coming);
        let mine = coming.iter().filter(|fault| fault.way == way);
        mine.map(|fault| fault.after).min()
    }

    /// So many bytes have passed. Answers what strikes now, if anything does.
    fn passed(&self, way: Way, bytes: u64) -> Option<Trouble> {
        let mut coming = lock(&self.coming);
        for fault in coming.iter_mut().filter(|fault| fault.way == way) {
            fault.after = fault.after.saturating_sub(bytes);
        }
        let due = coming
            .iter()
            .position(|fault| fault.way == way && fault.after == 0)?;
        Some(coming.remove(due).trouble)
    }
}

/// The faults that fit, each counted down.
fn take(shared: &Shared, fits: impl Fn(&Fault) -> bool) -> Vec<Fault> {
    let mut faults = lock(&shared.faults);
    let mut taken = Vec::new();
    for fault in faults.iter_mut().filter(|fault| fits(fault)) {
        fault.times -= 1;
        taken.push(fault.clone());
    }
    faults.retain(|fault| fault.times > 0);
    taken
}

/// Text of requests is looked for in this much at once, at least.
const LOOKED_BACK: usize = 1024;

async fn pump(
    way: Way,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    struck: &Struck<'_>,
) -> Result<(), End> {
    let mut buffer = vec![0; 64 * 1024];
    let mut tail = Vec::new();
    let (mut corrupt, mut rate, mut latency) = (0, None, Duration::ZERO);
    loop {
        let read = from.read(&mut buffer).await.map_err(broken)?;
        if read == 0 {
            return to.shutdown().await.map_err(broken);
        }
        if way == Way::ToServer {
            let seen = tail.len();
            tail.extend_from_slice(&buffer[..read]);
            struck.look(&tail, seen);
            tail.drain(..tail.len().saturating_sub(LOOKED_BACK));
        }
        let mut rest = &mut buffer[..read];
        loop {
            let next = struck.next(way).unwrap_or(u64::MAX);
            let length = usize::try_from(next).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(length);
            let flipped = corrupt.min(length);
            now[..flipped].iter_mut().for_each(|byte| *byte = !*byte);
            corrupt -= flipped;
            if !now.is_empty() && !latency.is_zero() {
                // What comes meanwhile waits in the sockets.
                tokio::time::sleep(latency).await;
            }
            send(&mut to, now, rate).await.map_err(broken)?;
            rest = later;
            match struck.passed(way, length as u64) {
                None if rest.is_empty() => break,
                None => {}
                Some(Trouble::Reset) => return Err(End::Reset),
                Some(Trouble::Close) => return Err(End::Closed),
                Some(Trouble::HalfClose) => return to.shutdown().await.map_err(broken),
                Some(Trouble::Stall) => std::future::pending().await,
                Some(Trouble::Delay(time)) => tokio::time::sleep(time).await,
                Some(Trouble::Corrupt(bytes)) => corrupt = bytes,
                Some(Trouble::Throttle(bytes)) => rate = Some(bytes),
                Some(Trouble::Latency(time)) => latency = time,
            }
        }
    }
}

async fn send(to: &mut WriteHalf<'_>, data: &[u8], rate: Option<u64>) -> io::Result<()> {
    let Some(rate) = rate else {
        return to.write_all(data).await;
    };
    // A slow line carries little at a time, twenty times a second.
    let piece = usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1);
    for piece in data.chunks(piece) {
        to.write_all(piece).await?;
        tokio::time::sleep(Duration::from_secs_f64(piece.len() as f64 / rate as f64)).await;
    }
    Ok(())
}

fn broken(_: io::Error) -> End {
    End::Reset
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A server that sends back what it gets, and a connection to it.
    async fn echo() -> (FaultProxy, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = FaultProxy::to(listener.local_addr().unwrap()).await;
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = socket.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        let address = proxy.address;
        (proxy, address)
    }

    /// Sends all, then reads to the end.
    async fn round_trip(address: SocketAddr, data: &[u8]) -> io::Result<Vec<u8>> {
        let mut socket = TcpStream::connect(address).await?;
        let (mut from, mut to) = socket.split();
        let mut back = Vec::new();
        let send = async {
            to.write_all(data).await?;
            to.shutdown().await
        };
        tokio::try_join!(send, from.read_to_end(&mut back))?;
        Ok(back)
    }

    #[tokio::test]
    async fn without_a_fault_everything_arrives() {
        let (proxy, address) = echo().await;
        let data = vec![7; 300_000];
        assert_eq!(round_trip(address, &data).await.unwrap(), data);
        proxy.until_open_at_most(0).await;
        assert_eq!(proxy.accepted(), 1);
    }

    #[tokio::test]
    async fn a_connection_ends_where_it_is_told() {
        let (proxy, address) = echo().await;
        proxy.add(Trouble::HalfClose.of(Way::ToClient).after(3).once());
        assert_eq!(round_trip(address, b"abcdef").await.unwrap(), b"abc");
        proxy.add(Trouble::Close.of(Way::ToClient).after(3).once());
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"abcdef").await.unwrap();
        let mut back = Vec::new();
        socket.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, b"abc");
        assert_eq!(round_trip(address, b"abcdef").await.unwrap(), b"abcdef");
    }

    #[tokio::test]
    async fn a_reset_is_an_error_of_both_sides() {
        let (proxy, address) = echo().await;
        proxy.add(Trouble::Reset.of(Way::ToServer).after(2).once());
        let error = round_trip(address, b"abcdef").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"x").await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), b'x');
        proxy.reset_all();
        let error = socket.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn text_of_a_request_is_found_across_pieces() {
        let (proxy, address) = echo().await;
        let fault = Trouble::HalfClose.of(Way::ToClient);
        proxy.add(fault.when("now").after(1).once());
        let mut socket = TcpStream::connect(address).await.unwrap();
        for piece in ["not yet, n", "o"] {
            socket.write_all(piece.as_bytes()).await.unwrap();
            let mut back = vec![0; piece.len()];
            socket.read_exact(&mut back).await.unwrap();
        }
        socket.write_all(b"w!!").await.unwrap();
        let mut back = Vec::new();
        socket.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, b"w");
    }

    #[tokio::test]
    async fn bytes_are_corrupted_late_and_throttled() {
        let (proxy, address) = echo().await;
        proxy.add(Trouble::Corrupt(2).of(Way::ToServer).after(1).once());
        let back = round_trip(address, b"abcd").await.unwrap();
        assert_eq!(back, [b'a', !b'b', !b'c', b'd']);
        let pause = Duration::from_millis(100);
        // Each makes 5,000 bytes late by as much.
        for trouble in [
            Trouble::Delay(pause),
            Trouble::Throttle(50_000),
            Trouble::Latency(pause),
        ] {
            proxy.add(trouble.of(Way::ToServer).once());
            let (start, data) = (Instant::now(), vec![1; 5_000]);
            assert_eq!(round_trip(address, &data).await.unwrap(), data);
            assert!(start.elapsed() >= pause, "{trouble:?}");
        }
    }

    #[tokio::test]
    async fn a_stall_leaves_the_other_direction_alone() {
        let (proxy, address) = echo().await;
        proxy.add(Trouble::Stall.of(Way::ToClient).after(1).once());
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"ab").await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), b'a');
        let more = tokio::time::timeout(Duration::from_millis(50), socket.read_u8()).await;
        assert!(more.is_err());
        assert_eq!(proxy.open(), 1);
    }
}
