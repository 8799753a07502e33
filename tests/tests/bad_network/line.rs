//! A line of real packets between a client and a server: each has a network namespace of its own with
//! a TUN device, and what one end puts in, the other gets: late, slowly, not always, or not at all.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use fastvm_local::Server;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::Runtime;

use super::{BYTES_PER_SECOND, LATENCY};

/// One packet of so many is lost.
const ONE_LOST_OF: u64 = 100;

/// What waits for longer than this before the line is dropped, as routers do.
const LONGEST_QUEUE: Duration = Duration::from_millis(500);

const SERVER: &str = "10.99.0.1";
const CLIENT: &str = "10.99.0.2";

/// Makes a TUN device in its network namespace, and carries its packets to stdout and from stdin, each
/// behind its length. An empty one says that all is set up.
const END: &str = r#"
import fcntl, os, struct, subprocess, sys, threading
own, other = sys.argv[1:]
tun = os.open('/dev/net/tun', os.O_RDWR)
set_interface, tun_without_header = 0x400454ca, 0x1001
fcntl.ioctl(tun, set_interface, struct.pack('16sH22x', b'line', tun_without_header))
for command in (f'link set lo up', f'addr add {own} peer {other} dev line', 'link set line up'):
    subprocess.run(['ip', *command.split()], check=True)
def put(packet):
    sys.stdout.buffer.write(struct.pack('>H', len(packet)) + packet)
    sys.stdout.buffer.flush()
def receive():
    while head := sys.stdin.buffer.read(2):
        os.write(tun, sys.stdin.buffer.read(*struct.unpack('>H', head)))
    os._exit(0)
put(b'')
threading.Thread(target=receive, daemon=True).start()
while True:
    put(os.read(tun, 65535))
"#;

pub(crate) struct Line {
    server: End,
    client: End,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_cut: AtomicBool,
    passed: AtomicU64,
    lost: AtomicU64,
}

/// One end: the process that holds its namespace.
struct End(Child);

impl Line {
    /// `None`, and a word of why, where there can be none.
    pub(crate) fn lay() -> Option<Self> {
        let ends =
            End::new(SERVER, CLIENT).and_then(|server| Ok((server, End::new(CLIENT, SERVER)?)));
        let (mut server, mut client) = match ends {
            Ok(ends) => ends,
            Err(error) => {
                eprintln!("SKIPPED: no network namespaces with TUN devices here: {error}");
                return None;
            }
        };
        let shared = Arc::new(Shared::default());
        carry(&mut server.0, &mut client.0, &shared);
        carry(&mut client.0, &mut server.0, &shared);
        Some(Self {
            server,
            client,
            shared,
        })
    }

    /// From now on everything is lost, in both directions, and nobody is told.
    pub(crate) fn cut(&self) {
        self.shared.is_cut.store(true, Ordering::Relaxed);
    }

    /// How many packets passed, and how many were lost.
    pub(crate) fn packets(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.shared.passed), count(&self.shared.lost))
    }

    /// Runs a server at one end and `work` at the other, with the server's address and key.
    pub(crate) fn between<F: Future<Output = ()>>(
        &self,
        work: impl FnOnce(String, String) -> F + Send,
    ) {
        let (ready, server) = mpsc::channel();
        let (finish, finished) = tokio::sync::oneshot::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                self.server.enter();
                Runtime::new().unwrap().block_on(async {
                    let listen = format!("{SERVER}:0").parse().unwrap();
                    let builder = Server::builder().listen(listen).api_key("key-of-the-line");
                    let server = builder.allow_remote(true).start().await.unwrap();
                    ready.send(server.base_url().to_owned()).unwrap();
                    // An error is a panic of the other thread, which is told there.
                    let _ = finished.await;
                    server.stop().await;
                });
            });
            scope.spawn(move || {
                self.client.enter();
                let url = server.recv().expect("the server starts");
                let work = work(url, "key-of-the-line".to_owned());
                Runtime::new().unwrap().block_on(work);
                let _ = finish.send(());
            });
        });
    }
}

impl End {
    fn new(own: &str, other: &str) -> io::Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--net", "python3", "-c", END, own, other]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut end = Self(command.spawn()?);
        let mut ready = [1; 2];
        end.0
            .stdout
            .as_mut()
            .expect("it is piped")
            .read_exact(&mut ready)?;
        Ok(end)
    }

    /// Puts the calling thread, and all that it starts, at this end.
    fn enter(&self) {
        let namespace = File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Carries packets one way until an end is gone.
fn carry(from: &mut Child, to: &mut Child, shared: &Arc<Shared>) {
    let mut from = BufReader::new(from.stdout.take().expect("it is piped"));
    let mut to = BufWriter::new(to.stdin.take().expect("it is piped"));
    let (sender, packets) = mpsc::channel::<(Instant, Vec<u8>)>();
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut is_free_at = Instant::now();
        while let Ok(packet) = read(&mut from) {
            let now = Instant::now();
            let is_full = is_free_at > now + LONGEST_QUEUE;
            if shared.is_cut.load(Ordering::Relaxed) || is_full || rng.u64(..ONE_LOST_OF) == 0 {
                shared.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let takes = Duration::from_secs_f64(packet.len() as f64 / BYTES_PER_SECOND as f64);
            is_free_at = is_free_at.max(now) + takes;
            shared.passed.fetch_add(1, Ordering::Relaxed);
            if sender.send((is_free_at + LATENCY, packet)).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (arrives, packet) in packets {
            thread::sleep(arrives.saturating_duration_since(Instant::now()));
            let length = u16::try_from(packet.len()).expect("it came with such a length");
            let written = to
                .write_all(&length.to_be_bytes())
                .and_then(|()| to.write_all(&packet));
            if written.and_then(|()| to.flush()).is_err() {
                return;
            }
        }
    });
}

fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    from.read_exact(&mut length)?;
    let mut packet = vec![0; u16::from_be_bytes(length).into()];
    from.read_exact(&mut packet)?;
    Ok(packet)
}
