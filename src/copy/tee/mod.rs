//! One read of a blob for all who push it.
//!
//! What is read goes to every reader. Each may lag behind by [`WINDOW`] bytes, then the others
//! wait for it, so that memory stays bounded. One that takes nothing for [`PATIENCE`] is left
//! behind, and reads the rest for itself; so does one that comes too late, and one that opens the
//! blob again to resume its upload.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::content::{ByteStream, Error, Opener, Result};
use crate::oci::Descriptor;

/// Bytes that one reader may lag behind; a single piece may have more.
const WINDOW: u32 = 1 << 20;
/// The time that is waited for one reader while another could go on.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many openers of `blob` that share one read of it, and the work that has to go on while they
/// are used: it feeds them and never ends.
///
/// The read begins when every opener has been opened or dropped.
pub(super) fn tee(
    blob: &Arc<dyn Opener>,
    readers: usize,
) -> (Vec<Arc<dyn Opener>>, BoxFuture<'static, Infallible>) {
    if readers == 1 {
        return (vec![Arc::clone(blob)], pending().boxed());
    }
    let (openers, arrivals): (Vec<Arc<dyn Opener>>, Vec<_>) = (0..readers)
        .map(|_| {
            let (arrive, arrival) = oneshot::channel();
            let opener = Reader {
                blob: Arc::clone(blob),
                arrive: Mutex::new(Some(arrive)),
            };
            (Arc::new(opener) as Arc<dyn Opener>, arrival)
        })
        .unzip();
    let blob = Arc::clone(blob);
    let feeding = async move {
        feed(&*blob, gather(arrivals).await).await;
        pending().await
    };
    (openers, feeding.boxed())
}

/// An opener whose first stream is fed by the read that all share.
struct Reader {
    blob: Arc<dyn Opener>,
    /// Tells that this reader is there. Gone once it is, or does not want to be.
    arrive: Mutex<Option<oneshot::Sender<Outlet>>>,
}

impl Opener for Reader {
    fn descriptor(&self) -> Option<Descriptor> {
        self.blob.descriptor()
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, Result<ByteStream>> {
        let mut arrive = self.arrive.lock().unwrap_or_else(PoisonError::into_inner);
        let arrive = arrive.take().filter(|_| offset == 0);
        let fed = arrive.and_then(|arrive| {
            let (outlet, inlet) = channel();
            arrive.send(outlet).ok().map(|()| inlet)
        });
        match fed {
            Some(inlet) => {
                let stream = inlet.stream(Arc::clone(&self.blob));
                async { Ok(stream) }.boxed()
            }
            None => self.blob.open(offset),
        }
    }
}

/// What a reader is given.
enum Fed {
    /// Bytes, and the room that they take until they are taken.
    Piece(Bytes, OwnedSemaphorePermit),
    /// There was no more. Without it, a reader was left behind.
    End(Result<()>),
}

/// The place where a reader is fed.
struct Outlet {
    room: Arc<Semaphore>,
    sender: mpsc::UnboundedSender<Fed>,
}

/// The place where a reader takes what it is fed.
struct Inlet(mpsc::UnboundedReceiver<Fed>);

fn channel() -> (Outlet, Inlet) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(WINDOW as usize));
    (Outlet { room, sender }, Inlet(receiver))
}

impl Outlet {
    /// Gives a piece when there is room for it. `None`: the reader is gone, or too slow.
    async fn give(self, piece: Bytes) -> Option<Self> {
        let size = u32::try_from(piece.len()).unwrap_or(WINDOW).min(WINDOW);
        let room = tokio::select! {
            room = timeout(PATIENCE, Arc::clone(&self.room).acquire_many_owned(size)) => room,
            () = self.sender.closed() => return None,
        };
        self.sender.send(Fed::Piece(piece, room.ok()?.ok()?)).ok()?;
        Some(self)
    }

    /// Tells how the read ended.
    fn end(&self, end: Result<()>) {
        // A reader that is gone needs no end.
        let _ = self.sender.send(Fed::End(end));
    }
}

/// The stream of a reader.
enum Reading {
    Fed { inlet: Inlet, offset: u64 },
    Alone(ByteStream),
}

impl Inlet {
    /// What is fed, and after that, where this reader was left behind, the rest of `blob`.
    fn stream(self, blob: Arc<dyn Opener>) -> ByteStream {
        let fed = Reading::Fed {
            inlet: self,
            offset: 0,
        };
        stream::try_unfold(fed, move |reading| next(Arc::clone(&blob), reading)).boxed()
    }
}

async fn next(blob: Arc<dyn Opener>, reading: Reading) -> Result<Option<(Bytes, Reading)>> {
    let mut alone = match reading {
        Reading::Alone(stream) => stream,
        Reading::Fed { mut inlet, offset } => match inlet.0.recv().await {
            Some(Fed::Piece(piece, room)) => {
                drop(room);
                let offset = offset + piece.len() as u64;
                return Ok(Some((piece, Reading::Fed { inlet, offset })));
            }
            Some(Fed::End(end)) => return end.map(|()| None),
            None => blob.open(offset).await?,
        },
    };
    let piece = alone.next().await.transpose()?;
    Ok(piece.map(|piece| (piece, Reading::Alone(alone))))
}

/// Those who have come when none is waited for any more.
async fn gather(arrivals: Vec<oneshot::Receiver<Outlet>>) -> Vec<Outlet> {
    let mut arrivals: FuturesUnordered<_> = arrivals.into_iter().collect();
    let mut outlets = Vec::new();
    let mut deadline = None;
    loop {
        let next = match deadline {
            None => arrivals.next().await,
            Some(deadline) => match timeout_at(deadline, arrivals.next()).await {
                Ok(next) => next,
                Err(_) => return outlets,
            },
        };
        let Some(arrived) = next else {
            return outlets;
        };
        // One that was dropped needs nothing.
        if let Ok(outlet) = arrived {
            outlets.push(outlet);
            deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
        }
    }
}

/// Reads `blob` once, for all `outlets`.
async fn feed(blob: &dyn Opener, mut outlets: Vec<Outlet>) {
    if outlets.is_empty() {
        return;
    }
    let reading = async {
        let mut stream = blob.open(0).await?;
        while let Some(piece) = stream.next().await {
            let piece = piece?;
            let giving = outlets.drain(..).map(|outlet| outlet.give(piece.clone()));
            outlets = join_all(giving).await.into_iter().flatten().collect();
            if outlets.is_empty() {
                break;
            }
        }
        Ok(())
    };
    let end = reading.await.map_err(Arc::new);
    for outlet in &outlets {
        outlet.end(end.clone().map_err(Error::Shared));
    }
}
