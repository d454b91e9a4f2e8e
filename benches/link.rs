//! A network link for measurements: a proxy on loopback that delays bytes and limits the rate of
//! each connection.
//!
//!     link TARGET ROUND_TRIP_MS [MB_PER_SECOND]
//!
//! It prints the address that it listens on, and forwards each connection to `TARGET`. Bytes arrive
//! half a round trip later in each direction, and a connection is open after one round trip. The
//! rate holds for each connection and direction.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes that are forwarded at once.
const PIECE: usize = 64 << 10;
/// Pieces on their way in one direction: more than any rate and delay here needs.
const ON_THEIR_WAY: usize = 512;

/// What a connection may catch up on, as timers are late.
const BURST: Duration = Duration::from_millis(5);

#[derive(Clone, Copy)]
struct Link {
    round_trip: Duration,
    /// Bytes a second; `None` is as fast as the machine is.
    rate: Option<f64>,
}

#[expect(clippy::print_stdout, reason = "whoever starts it reads the address")]
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().expect("a target's address");
    let round_trip = arguments.next().and_then(|text| text.parse().ok());
    let rate: Option<f64> = arguments.next().and_then(|text| text.parse().ok());
    let link = Link {
        round_trip: Duration::from_millis(round_trip.expect("a round trip in milliseconds")),
        rate: rate.map(|megabytes| megabytes * 1e6),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    loop {
        let (client, _) = listener.accept().await.expect("a connection");
        tokio::spawn(connect(client, target.clone(), link));
    }
}

async fn connect(client: TcpStream, target: String, link: Link) {
    sleep(link.round_trip).await;
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    for end in [&client, &server] {
        let _ = end.set_nodelay(true);
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::spawn(forward(from_client, to_server, link));
    forward(from_server, to_client, link).await;
}

/// Forwards one direction until it ends.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, link: Link) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THEIR_WAY);
    let reading = async move {
        let mut free = Instant::now();
        loop {
            let mut piece = vec![0; PIECE];
            let Ok(length @ 1..) = from.read(&mut piece).await else {
                return;
            };
            piece.truncate(length);
            free = free.max(Instant::now() - BURST);
            if let Some(rate) = link.rate {
                free += Duration::from_secs_f64(length as f64 / rate);
            }
            if sender
                .send((free + link.round_trip / 2, piece))
                .await
                .is_err()
            {
                return;
            }
            sleep_until(free).await;
        }
    };
    let writing = async move {
        while let Some((arrives, piece)) = receiver.recv().await {
            sleep_until(arrives).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
