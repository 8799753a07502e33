//! From the task that reads a stream to who takes what it reads.
//!
//! A channel whose room is counted in bytes, and out of which all comes that is there, by one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// How much may be in it: beyond that the connection is left full.
const MOST_BYTES: usize = 256 * 1024;

/// What a piece takes besides its bytes.
const SIZE_OF_PIECE: usize = 64;

pub(super) type Piece = Result<Bytes, reqwest::Error>;

/// Where pieces go in. When it is dropped, there are no more.
pub(super) struct Inlet(Arc<Mutex<Pipe>>);

/// Where they come out. When it is dropped, nobody wants any.
pub(super) struct Outlet(Arc<Mutex<Pipe>>);

#[derive(Default)]
struct Pipe {
    pieces: Vec<Piece>,
    size: usize,
    is_over: bool,
    is_left: bool,
    /// Who takes, when that has to wait.
    taker: Option<Waker>,
    /// Who puts: woken when it has to wait for room, and when nobody wants more.
    putter: Option<Waker>,
}

pub(super) fn pipe() -> (Inlet, Outlet) {
    let pipe = Arc::<Mutex<Pipe>>::default();
    (Inlet(pipe.clone()), Outlet(pipe))
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes it; whom that concerns is woken when the lock is open again.
fn change<T>(pipe: &Mutex<Pipe>, change: impl FnOnce(&mut Pipe) -> (T, Option<Waker>)) -> T {
    let (answer, waiting) = change(&mut lock(pipe));
    if let Some(waiting) = waiting {
        waiting.wake();
    }
    answer
}

impl Inlet {
    /// Puts in all of `pieces`, and answers how many lie there now.
    pub(super) fn put(&self, pieces: &mut Vec<Piece>) -> usize {
        change(&self.0, |pipe| {
            let lengths = pieces
                .iter()
                .map(|piece| piece.as_ref().map_or(0, Bytes::len));
            pipe.size += lengths.map(|length| length + SIZE_OF_PIECE).sum::<usize>();
            pipe.pieces.append(pieces);
            (pipe.pieces.len(), pipe.taker.take())
        })
    }

    /// Ready when there is room, with whether anybody wants what would be put there. Polled before, it
    /// wakes when that changes.
    pub(super) fn poll_wanted(&self, context: &mut Context<'_>) -> Poll<bool> {
        let mut pipe = lock(&self.0);
        let is_known = |putter: &Waker| putter.will_wake(context.waker());
        if !pipe.putter.as_ref().is_some_and(is_known) {
            pipe.putter = Some(context.waker().clone());
        }
        match pipe.is_left {
            false if pipe.size >= MOST_BYTES => Poll::Pending,
            is_left => Poll::Ready(!is_left),
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        change(&self.0, |pipe| {
            pipe.is_over = true;
            ((), pipe.taker.take())
        });
    }
}

impl Outlet {
    /// Takes all that is there, and answers whether that was the end.
    pub(super) fn poll_take(&self, context: &mut Context<'_>, into: &mut Vec<Piece>) -> Poll<bool> {
        change(&self.0, |pipe| {
            if pipe.pieces.is_empty() && !pipe.is_over {
                pipe.taker = Some(context.waker().clone());
                return (Poll::Pending, None);
            }
            into.append(&mut pipe.pieces);
            let was_full = std::mem::take(&mut pipe.size) >= MOST_BYTES;
            let putter = pipe.putter.take_if(|_| was_full);
            (Poll::Ready(pipe.is_over), putter)
        })
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        change(&self.0, |pipe| {
            pipe.is_left = true;
            ((), pipe.putter.take())
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use super::*;

    /// Whether it was wanted, and how many lie there then.
    async fn put(inlet: &Inlet, length: usize) -> (bool, usize) {
        let is_wanted = poll_fn(|context| inlet.poll_wanted(context)).await;
        let lying = inlet.put(&mut vec![Ok(vec![0; length].into())]);
        (is_wanted, lying)
    }

    /// The lengths of what is there, and whether it was the end.
    async fn take(outlet: &Outlet) -> (Vec<usize>, bool) {
        let mut pieces = Vec::new();
        let is_over = poll_fn(|context| outlet.poll_take(context, &mut pieces)).await;
        let lengths = pieces.into_iter().map(|piece| piece.unwrap().len());
        (lengths.collect(), is_over)
    }

    #[tokio::test]
    async fn all_that_is_there_comes_out_at_once_and_in_order() {
        let (inlet, outlet) = pipe();
        for length in [1, 2, 3] {
            assert_eq!(put(&inlet, length).await, (true, length));
        }
        assert_eq!(take(&outlet).await, (vec![1, 2, 3], false));
        assert_eq!(put(&inlet, 4).await, (true, 1));
        drop(inlet);
        assert_eq!(take(&outlet).await, (vec![4], true));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn both_ends_wait_for_each_other() {
        const PIECES: usize = 2_000;
        let (inlet, outlet) = pipe();
        let putting = tokio::spawn(async move {
            for piece in 0..PIECES {
                assert!(put(&inlet, piece * 17 % 40_000).await.0);
            }
        });
        let mut taken = Vec::new();
        loop {
            let (lengths, is_over) = take(&outlet).await;
            // One goes in while there is any room.
            assert!(lengths.iter().sum::<usize>() < MOST_BYTES + 40_000);
            taken.extend(lengths);
            if is_over {
                break;
            }
        }
        putting.await.unwrap();
        let expected: Vec<_> = (0..PIECES).map(|piece| piece * 17 % 40_000).collect();
        assert_eq!(taken, expected);
    }

    #[tokio::test]
    async fn who_waits_for_room_learns_that_nobody_wants_more() {
        let (inlet, outlet) = pipe();
        assert!(put(&inlet, MOST_BYTES).await.0);
        let mut waiting = pin!(poll_fn(|context| inlet.poll_wanted(context)));
        let is_pending =
            poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_pending()));
        assert!(is_pending.await);
        drop(outlet);
        assert!(!waiting.await);
    }
}
