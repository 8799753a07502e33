//! Where an archive is written: block by block into a channel, gzipped on several threads if it is
//! to be.
//!
//! The gzip is one member like any other. Its blocks are compressed apart from each other, each with
//! the end of the one before as its dictionary, and end on whole bytes, so that they can be joined:
//! the way of `pigz`. What looks compressed already is stored as it is. The same archive makes the
//! same bytes, however many threads there are.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc as std_mpsc};
use std::thread::{self, Scope};

use bytes::Bytes;
use flate2::{Compress, Crc, FlushCompress};
use tokio::sync::{mpsc, oneshot};

use super::{CHUNK, CHUNKS_IN_FLIGHT};

/// How much is compressed at a time.
const BLOCK: usize = 128 * 1024;

/// How far back deflate can refer.
const WINDOW: usize = 32 * 1024;

/// How much is either compressed or stored as a whole.
const PIECE: usize = 16 * 1024;

/// How many bytes, less one, a stored block of deflate can have.
const MOST_STORED: usize = u16::MAX as usize;

/// How many sequences are remembered when repeats are looked for.
const SLOTS: usize = 4096;

/// No name, no time, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The last block of deflate, which is empty.
const LAST: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// A part of the archive that may still be in the making. Parts come in order.
pub(super) type Part = oneshot::Receiver<io::Result<Bytes>>;

/// Takes the parts of an archive.
pub(super) type Sender = mpsc::Sender<Part>;

/// A channel for the parts of an archive.
pub(super) fn channel() -> (Sender, mpsc::Receiver<Part>) {
    mpsc::channel(CHUNKS_IN_FLIGHT + *MOST_WORKERS)
}

/// Sends what is there already. Fails if nobody takes it any more.
pub(super) fn send(sender: &Sender, part: io::Result<Bytes>) -> io::Result<()> {
    let place = reserve(sender)?;
    let _ = place.send(part);
    Ok(())
}

/// A place in the order of parts, once there is room.
fn reserve(sender: &Sender) -> io::Result<oneshot::Sender<io::Result<Bytes>>> {
    let (place, part) = oneshot::channel();
    let sent = sender.blocking_send(part);
    sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
    Ok(place)
}

/// What an archive is written to.
pub(super) struct Output<'scope, 'env> {
    block: Block,
    sender: Sender,
    gzip: Option<Gzip<'scope, 'env>>,
}

impl<'scope, 'env> Output<'scope, 'env> {
    /// With a level, what is written is gzipped by threads of the scope.
    pub(super) fn new(
        sender: Sender,
        level: Option<u32>,
        scope: &'scope Scope<'scope, 'env>,
    ) -> Self {
        Self {
            block: Block::after(&[], if level.is_some() { BLOCK } else { CHUNK }),
            sender,
            gzip: level.map(|level| Gzip::new(level, scope)),
        }
    }

    /// Where the next bytes belong; never empty.
    pub(super) fn room(&mut self) -> io::Result<&mut [u8]> {
        if self.block.room().is_empty() {
            self.end_block(false)?;
        }
        Ok(self.block.room())
    }

    /// So many bytes have been put there.
    pub(super) fn filled(&mut self, length: usize) {
        self.block.end += length;
    }

    /// Sends the rest.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.end_block(true)?;
        match self.gzip {
            Some(gzip) => send(&self.sender, Ok(gzip.trailer().into())),
            None => Ok(()),
        }
    }

    fn end_block(&mut self, is_last: bool) -> io::Result<()> {
        let Some(gzip) = &mut self.gzip else {
            let mut block = std::mem::replace(&mut self.block, Block::after(&[], CHUNK));
            block.bytes.truncate(block.end);
            return send(&self.sender, Ok(block.bytes.into()));
        };
        if !std::mem::replace(&mut gzip.has_begun, true) {
            send(&self.sender, Ok(Bytes::from_static(&HEADER)))?;
        }
        let next = Block::after(self.block.tail(), BLOCK);
        let block = std::mem::replace(&mut self.block, next);
        gzip.crc.update(block.data());
        let place = reserve(&self.sender)?;
        gzip.compress(Job { block, place }, is_last);
        Ok(())
    }
}

impl Write for Output<'_, '_> {
    fn write(&mut self, mut data: &[u8]) -> io::Result<usize> {
        let count = data.read(self.room()?)?;
        self.filled(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of an archive, and as many of those before them as deflate can refer to. `start` is never
/// beyond `end`, nor that beyond the bytes.
struct Block {
    bytes: Vec<u8>,
    /// Where those of the block itself begin.
    start: usize,
    end: usize,
}

impl Block {
    /// An empty block with room for `size` bytes, after these.
    fn after(before: &[u8], size: usize) -> Self {
        let start = before.len();
        let mut bytes = vec![0; start + size];
        bytes[..start].copy_from_slice(before);
        Self {
            bytes,
            start,
            end: start,
        }
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// What a block after this one can refer to.
    fn tail(&self) -> &[u8] {
        window(&self.bytes[..self.end])
    }
}

/// As much of the end as deflate can refer to.
fn window(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.len().saturating_sub(WINDOW)..]
}

/// How many threads compress at most, of all transfers together.
static MOST_WORKERS: LazyLock<usize> = LazyLock::new(|| {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    cores.min(8)
});

/// How many of them there are.
static WORKERS: AtomicUsize = AtomicUsize::new(0);

/// The right to be one of them.
struct Permit;

impl Permit {
    fn take() -> Option<Self> {
        let more = |workers| (workers < *MOST_WORKERS).then_some(workers + 1);
        let taken = WORKERS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Self)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        WORKERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A gzip in the making.
struct Gzip<'scope, 'env> {
    level: u32,
    has_begun: bool,
    crc: Crc,
    scope: &'scope Scope<'scope, 'env>,
    jobs: std_mpsc::Sender<Job>,
    queue: Queue,
    workers: usize,
    /// Compresses on this thread, if it has to.
    own: Option<Deflater>,
}

type Queue = Arc<Mutex<std_mpsc::Receiver<Job>>>;

/// A block to be compressed, and where it goes.
struct Job {
    block: Block,
    place: oneshot::Sender<io::Result<Bytes>>,
}

impl<'scope, 'env> Gzip<'scope, 'env> {
    fn new(level: u32, scope: &'scope Scope<'scope, 'env>) -> Self {
        let (jobs, queue) = std_mpsc::channel();
        Self {
            level,
            has_begun: false,
            crc: Crc::new(),
            scope,
            jobs,
            queue: Arc::new(Mutex::new(queue)),
            workers: 0,
            own: None,
        }
    }

    /// Has a block compressed. What makes one block only is not worth a thread.
    fn compress(&mut self, job: Job, is_last: bool) {
        if !is_last && self.workers < *MOST_WORKERS {
            self.add_worker();
        }
        let job = match self.workers {
            0 => job,
            _ => match self.jobs.send(job) {
                Ok(()) => return,
                Err(std_mpsc::SendError(job)) => job,
            },
        };
        let level = self.level;
        job.run(self.own.get_or_insert_with(|| Deflater::new(level)));
    }

    /// One more thread, if there may be one. It ends when all is written or given up.
    fn add_worker(&mut self) {
        let Some(permit) = Permit::take() else { return };
        let (queue, level) = (self.queue.clone(), self.level);
        let work = move || {
            let _permit = permit;
            let mut deflater = Deflater::new(level);
            while let Some(job) = next(&queue) {
                job.run(&mut deflater);
            }
        };
        let name = "fastvm-gzip".to_owned();
        let spawned = thread::Builder::new()
            .name(name)
            .spawn_scoped(self.scope, work);
        self.workers += usize::from(spawned.is_ok());
    }

    /// What follows the blocks.
    fn trailer(&self) -> Vec<u8> {
        let (sum, length) = (self.crc.sum(), self.crc.amount());
        [&LAST[..], &sum.to_le_bytes(), &length.to_le_bytes()].concat()
    }
}

fn next(queue: &Queue) -> Option<Job> {
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.recv().ok()
}

impl Job {
    fn run(self, deflater: &mut Deflater) {
        // Nobody wants it when the request has ended.
        if !self.place.is_closed() {
            let _ = self.place.send(deflater.run(&self.block));
        }
    }
}

/// Compresses blocks, each for itself.
struct Deflater {
    compress: Compress,
    /// Sequences of the block so far, by their hash.
    seen: Vec<u32>,
}

impl Deflater {
    fn new(level: u32) -> Self {
        Self {
            compress: Compress::new(flate2::Compression::new(level), false),
            seen: vec![0; SLOTS],
        }
    }

    fn run(&mut self, block: &Block) -> io::Result<Bytes> {
        self.seen.fill(0);
        let before = &block.bytes[..block.start];
        let mut was_dense = self.is_dense(&before[before.len().saturating_sub(PIECE)..]);
        let pieces = block.data().chunks(PIECE);
        let pieces: Vec<_> = pieces.map(|piece| self.is_dense(piece)).collect();
        let mut out = Vec::with_capacity(block.data().len() + 64);
        let mut start = block.start;
        for run in pieces.chunk_by(|one, next| one == next) {
            let end = block.end.min(start + run.len() * PIECE);
            let data = &block.bytes[start..end];
            let is_dense = run.contains(&true);
            match is_dense {
                true => store(data, &mut out),
                // What is dense is nothing to refer to.
                false if was_dense => self.deflate(&[], data, &mut out)?,
                false => self.deflate(window(&block.bytes[..start]), data, &mut out)?,
            }
            (start, was_dense) = (end, is_dense);
        }
        Ok(out.into())
    }

    /// Whether deflate would gain next to nothing: every byte is about as frequent as any other, and
    /// little is there twice.
    fn is_dense(&mut self, piece: &[u8]) -> bool {
        let sample = &piece[..piece.len().min(4096)];
        is_even(sample) && is_even(piece) && !self.repeats(piece)
    }

    /// Whether some 3 % of it was there before. Of all sequences of four bytes one in eight is
    /// looked at, the same ones wherever they stand.
    fn repeats(&mut self, piece: &[u8]) -> bool {
        let (mut last, mut count) = (0_u32, 0);
        for byte in piece {
            last = last << 8 | u32::from(*byte);
            let hash = last.wrapping_mul(0x9e37_79b1);
            if hash >> 29 == 0 {
                let slot = &mut self.seen[(hash >> 17) as usize % SLOTS];
                count += usize::from(*slot == last);
                *slot = last;
            }
        }
        count * 8 * 32 > piece.len()
    }

    /// Ends on a whole byte.
    fn deflate(&mut self, before: &[u8], data: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.compress.reset();
        if !before.is_empty() {
            self.compress.set_dictionary(before)?;
        }
        loop {
            out.reserve(64);
            let done = self.compress.total_in() as usize;
            let rest = data.get(done..).unwrap_or_default();
            self.compress.compress_vec(rest, out, FlushCompress::Sync)?;
            // Room that is left means that nothing is held back.
            if out.len() < out.capacity() {
                return Ok(());
            }
        }
    }
}

/// Whether all bytes are about equally frequent: the sum of the squares of their shares is hardly
/// more than if they were.
fn is_even(data: &[u8]) -> bool {
    let mut counts = [0_u64; 256];
    for byte in data {
        counts[usize::from(*byte)] += 1;
    }
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    let length = data.len() as u64;
    squares * 256 * 4 < length * length * 5
}

/// As blocks of deflate that are not compressed.
fn store(data: &[u8], out: &mut Vec<u8>) {
    for part in data.chunks(MOST_STORED) {
        let length = part.len() as u16;
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// What is sent of this, written as it comes.
    fn gzipped(data: &[u8], level: u32) -> Vec<u8> {
        let (sender, mut parts) = channel();
        let mut sent = Vec::new();
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::scope(|scope| {
                    let mut output = Output::new(sender, Some(level), scope);
                    output.write_all(data).unwrap();
                    output.finish().unwrap();
                });
            });
            while let Some(part) = parts.blocking_recv() {
                sent.extend(part.blocking_recv().unwrap().unwrap());
            }
        });
        sent
    }

    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        std::iter::repeat_with(|| random.u8(..))
            .take(length)
            .collect()
    }

    /// Lines that resemble each other, as those of programs do.
    fn text(length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(7);
        let line = |_| format!("    let item_{} = {};\n", random.u8(..), random.u16(..));
        let lines = (0..=length / 16).map(line);
        lines.collect::<String>().into_bytes()[..length].to_vec()
    }

    /// As one thread makes it in one go.
    fn in_one_go(data: &[u8], level: u32) -> usize {
        let level = flate2::Compression::new(level);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap().len()
    }

    #[test]
    fn all_comes_back_and_is_hardly_larger_than_in_one_go() {
        let mixed = [
            text(50_000),
            noise(1, 60_000),
            text(9_000),
            noise(2, 150_000),
        ]
        .concat();
        let lengths = [
            0,
            1,
            511,
            PIECE,
            BLOCK - 1,
            BLOCK,
            BLOCK + 1,
            2 * BLOCK + 77,
        ];
        let of_lengths = lengths.map(text);
        let all = [&of_lengths[..], &[mixed, vec![0; 300_000]]].concat();
        for (data, level) in all
            .iter()
            .flat_map(|data| [1, 6].map(|level| (data, level)))
        {
            let sent = gzipped(data, level);
            let mut back = Vec::new();
            GzDecoder::new(&sent[..]).read_to_end(&mut back).unwrap();
            assert!(back == *data, "{} bytes at level {level}", data.len());
            let most = in_one_go(data, level) * 103 / 100 + 32 * (1 + data.len() / BLOCK);
            assert!(sent.len() <= most, "{} of {most} bytes", sent.len());
            assert_eq!(sent, gzipped(data, level), "the same bytes each time");
        }
    }

    #[test]
    fn what_is_dense_is_told_from_what_is_not() {
        let mut deflater = Deflater::new(6);
        let mut is_dense = |data: &[u8]| {
            deflater.seen.fill(0);
            deflater.is_dense(data)
        };
        assert!(is_dense(&noise(1, PIECE)));
        assert!(!is_dense(&text(PIECE)));
        assert!(!is_dense(&vec![0; PIECE]));
        // Letters that are all as frequent are still but 64 of 256.
        let letters: Vec<_> = noise(1, PIECE)
            .iter()
            .map(|byte| byte % 64 + b' ')
            .collect();
        assert!(!is_dense(&letters));
        // Each part is noise, but one like the other.
        assert!(!is_dense(&noise(1, PIECE / 4).repeat(4)));
    }
}
