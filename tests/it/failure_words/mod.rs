//! What a stack hears when something fails: the sentence names the side, the request and the host
//! that failed, and advises what helps there. Each row is a place and a fault.

mod answers;
mod page;
mod places;
mod tls;
mod world;
mod wrongs;

use std::time::Duration;

use futures_util::{StreamExt, stream};
use longshore::local::Fault;
use tokio::net::TcpListener;

use self::places::{PLACES, Place};
use self::world::{Ended, Server, Work, World, expected};
use self::wrongs::Wrong;

/// How many cells run at the same time. Most of them wait.
const AT_ONCE: usize = 40;
/// What a function has that is not to come to the end of its time, and one that is.
const TIME: Duration = Duration::from_secs(30);
const TIME_TO_HANG: Duration = Duration::from_secs(6);

/// How the work of a stack ended where something went wrong at a place.
struct Cell {
    /// `None`: it succeeded.
    sentence: Option<String>,
    /// What is not as it should be.
    strange: Vec<String>,
}

impl Cell {
    async fn of(place: &Place, wrong: &Wrong) -> Self {
        let world = World::new(place.work).await;
        let fault = (wrong.fault)().on(place.method, place.path).times(99);
        world.faults(place.server).add(fault);
        let peer = world.address(place.server).to_string() + "|s3://images/example.tar";
        let event = world.event(place.properties);
        let time = if wrong.hangs { TIME_TO_HANG } else { TIME };
        let ended = world.run(&event, time).await;
        let name = format!("{}, {}", place.name, wrong.name);
        let is_overcome = wrong.overcome.contains(&place.name);
        match ended {
            Ended::Succeeded(held) => Self {
                strange: if is_overcome && held == *expected(place.work).await {
                    Vec::new()
                } else {
                    vec![format!("{name}: a success with {held:?}")]
                },
                sentence: None,
            },
            Ended::Failed(sentence) => {
                // What hangs is named by its host.
                let mut says = if wrong.hangs {
                    vec![peer.as_str()]
                } else {
                    place.says.to_vec()
                };
                says.push(wrong.says(place));
                let never = [place.never, wrong.never].concat();
                let mut strange = check(&name, &sentence, &says, &never);
                if is_overcome {
                    strange.push(format!("{name}: no success: {sentence}"));
                }
                Self {
                    sentence: Some(sentence),
                    strange,
                }
            }
        }
    }
}

/// What is wrong with a sentence. Between `|` stand words of which it has one.
fn check(row: &str, sentence: &str, says: &[&str], never: &[&str]) -> Vec<String> {
    let has = |words: &str| words.split('|').any(|word| sentence.contains(word));
    let missing = says.iter().filter(|words| !has(words));
    let missing = missing.map(|words| format!("{row}: no {words:?} in: {sentence}"));
    let strange = never.iter().filter(|word| sentence.contains(**word));
    let strange = strange.map(|word| format!("{row}: {word:?} in: {sentence}"));
    missing.chain(strange).collect()
}

fn assert_words(row: &str, sentence: &str, says: &[&str], never: &[&str]) {
    let strange = check(row, sentence, says, never);
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_told_of_the_place_where_it_was() {
    let wrongs = wrongs::all();
    let everywhere = wrongs.iter().filter(|wrong| wrong.is_everywhere());
    assert!(everywhere.count() >= 40);
    let cells = PLACES.iter().flat_map(|place| {
        let wrongs = wrongs.iter().filter(|wrong| wrong.is_at(place));
        wrongs.map(move |wrong| Cell::of(place, wrong))
    });
    let cells: Vec<Cell> = stream::iter(cells)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let strange: Vec<&str> = cells
        .iter()
        .flat_map(|cell| &cell.strange)
        .map(String::as_str)
        .collect();
    assert!(strange.is_empty(), "{}", strange.join("\n"));
    let sentences = cells.iter().filter_map(|cell| cell.sentence.as_deref());
    let unseen = page::unseen(&sentences.collect::<Vec<_>>());
    assert!(
        unseen.is_empty(),
        "rows of docs/failures.md that no cell shows: {unseen:#?}"
    );
}

#[tokio::test]
async fn a_source_that_lacks_permissions_is_told_to_allow_them_there() {
    for (path, action) in [
        ("/v2/source/manifests/1", "ecr:BatchGetImage"),
        ("/v2/source/blobs/", "ecr:GetDownloadUrlForLayer"),
    ] {
        let world = World::new(Work::Image).await;
        let denied = Fault::answer(403).on("GET", path).times(9);
        world.faults(Server::Registry).add(denied);
        let sentence = world.failure(&[]).await;
        let advice =
            format!("allow {action} on arn:aws:ecr:eu-west-1:123456789012:repository/source");
        assert_words(path, &sentence, &[&advice], &["repository/app in"]);
    }
}

#[tokio::test]
async fn a_source_repository_that_is_gone_is_not_to_be_created() {
    let world = World::new(Work::Image).await;
    let unknown = Fault::answer(404).saying("NAME_UNKNOWN", "no such repository");
    let unknown = unknown.on("GET", "/v2/source/blobs/").times(9);
    world.faults(Server::Registry).add(unknown);
    let sentence = world.failure(&[]).await;
    let never = ["create it before", "CreateRepository set"];
    assert_words("", &sentence, &["/source"], &never);
}

#[tokio::test]
async fn a_connection_that_fails_is_told_by_its_kind() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = free.local_addr().unwrap().to_string();
    drop(free);
    for (host, kind) in [
        (refused.as_str(), "refuses connections"),
        ("registry.invalid", "its name has no address"),
    ] {
        let world = World::new(Work::Image).await;
        let source = format!("{host}/app:1");
        let sentence = world.failure(&[("Source", &source)]).await;
        assert_words(kind, &sentence, &[host, kind], &["NAT gateway"]);
    }
}
