//! What is sent again by the attempt after one that was killed, counted at the registry.

use longshore::local::Fault;

use super::run::Worker;
use super::say;
use super::schedule::{Kill, Program, Schedule, Server, Source};
use super::world::{Fixtures, World};

/// Bytes of an image that is killed at its manifest, when all of its blobs are in the repository,
/// and of the next attempt.
async fn sent(fixtures: &Fixtures, program: Program, source: Source) -> (u64, u64) {
    let schedule = Schedule::peaceful(program, source);
    let world = World::new(fixtures, false).await;
    let at_the_manifest = Fault::hang().on("PUT", "/v2/app/manifests/");
    world.faults(Server::Destination).add(at_the_manifest);
    let kill = Kill::at_once(Server::Destination);
    let mut worker = Worker::start(&schedule, &world).await;
    worker.attempt(Some(&kill)).await;
    assert_eq!(world.tagged().await, None, "{schedule}");
    let first = world.bytes_sent();
    worker.attempt(None).await;
    assert!(world.tagged().await.is_some(), "{schedule}");
    (first, world.bytes_sent() - first)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_what_the_registry_can_tell_is_not_sent_again() {
    let fixtures = Fixtures::make().await;
    let mut table = "| Program | Source | Bytes sent before the kill | Sent again |\n\
                     | --- | --- | --: | --: |\n"
        .to_owned();
    for program in [Program::Function, Program::Command] {
        for source in [Source::Registry, Source::Archive] {
            let (first, again) = sent(&fixtures, program, source).await;
            let row = format!("| {program:?} | {source:?} | {first} | {again} |\n");
            match source {
                Source::Registry => assert_eq!(again, 0, "{row}"),
                // A plain layer's digest is known once it is compressed. The config is found.
                Source::Archive => assert!(again < first, "{row}"),
            }
            table.push_str(&row);
        }
    }
    if std::env::var_os("LONGSHORE_FAULTS_RUNS").is_some() {
        say(&table);
    }
}
