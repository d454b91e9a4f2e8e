//! Faults of every kind, in seeded runs of the two programs: after each, what a user was promised
//! still holds. `scripts/faults` plays many of them; a plain `cargo test` a few.

mod again;
mod run;
mod schedule;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use longshore::oci::Digest;

use run::{Ended, Run};
use schedule::{Kind, Program, Schedule, Source};
use world::Fixtures;

/// What is played where nothing else is said.
const SEED: u64 = 1;
const RUNS: usize = 48;
/// Runs at the same time, beside other tests or alone. Many of them wait.
const AT_ONCE: usize = 3;
const AT_ONCE_ALONE: usize = 8;

/// What every run is given.
struct Stage {
    fixtures: Fixtures,
    /// What the tag is to name, from an archive and from a registry.
    expected: [Option<Digest>; 2],
}

impl Stage {
    /// Sees what runs give without a fault.
    async fn set() -> Arc<Self> {
        let mut stage = Self {
            fixtures: Fixtures::make().await,
            expected: [None, None],
        };
        for (position, source) in [Source::Archive, Source::Registry].into_iter().enumerate() {
            for program in [Program::Function, Program::Command] {
                let schedule = Schedule::peaceful(program, source);
                let run = Run::of(&schedule, &stage.fixtures, None).await;
                assert_eq!(run.violations, [""; 0], "{schedule}");
                let tagged = run.tagged.expect("an image");
                let known = stage.expected[position].get_or_insert_with(|| tagged.clone());
                assert_eq!(*known, tagged, "{schedule}");
            }
        }
        Arc::new(stage)
    }

    async fn play(self: Arc<Self>, schedule: Schedule) -> Run {
        let expected = match schedule.source {
            Source::Archive => &self.expected[0],
            Source::Registry => &self.expected[1],
        };
        Run::of(&schedule, &self.fixtures, expected.as_ref()).await
    }
}

/// How many runs ended how.
#[derive(Default)]
struct Counts(BTreeMap<(Kind, Program), [usize; 7]>);

impl Counts {
    fn add(&mut self, schedule: &Schedule, run: &Run) {
        let counts = self.0.entry((schedule.kind, schedule.program)).or_default();
        let counted = [
            true,
            run.met,
            run.ended == Ended::Succeeded,
            run.ended == Ended::Failed,
            run.ended == Ended::Killed,
            run.by_record,
            !run.violations.is_empty(),
        ];
        for (count, is) in counts.iter_mut().zip(counted) {
            *count += usize::from(is);
        }
    }

    /// The table of docs/reliability.md.
    fn table(&self) -> String {
        let mut table =
            "| Runs of | Program | Runs | A fault was met | Success | Failure | Killed \
                         | Answered by its record | Violations |\n\
                         | --- | --- | --: | --: | --: | --: | --: | --: | --: |\n"
                .to_owned();
        for ((kind, program), counts) in &self.0 {
            let counts = counts.map(|count| count.to_string()).join(" | ");
            let _ = writeln!(table, "| {kind:?} | {program:?} | {counts} |");
        }
        table
    }
}

fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}: expected a number, got {text}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_breaks_a_promise() {
    let asked = number_in("LONGSHORE_FAULTS_RUNS");
    let seed = number_in("LONGSHORE_FAULTS_SEED").unwrap_or(SEED);
    let only = number_in("LONGSHORE_FAULTS_ONLY");
    let to_usize = |number: u64| usize::try_from(number).expect("a number of runs");
    let numbers = match only.map(to_usize) {
        Some(number) => number..number + 1,
        None => 0..asked.map_or(RUNS, to_usize),
    };
    let stage = Stage::set().await;
    let mut runs = stream::iter(numbers)
        .map(|number| {
            let schedule = Schedule::draw(seed, number);
            let play = Arc::clone(&stage).play(schedule.clone());
            // As a task, so that what panics ends that run only.
            async move { (number, schedule, tokio::spawn(play).await) }
        })
        .buffer_unordered(if asked.is_some() {
            AT_ONCE_ALONE
        } else {
            AT_ONCE
        });
    let mut counts = Counts::default();
    let mut violations = Vec::new();
    while let Some((number, schedule, run)) = runs.next().await {
        let run = run.unwrap_or_else(|error| Run::broken(&error.to_string()));
        counts.add(&schedule, &run);
        let told = run.violations.iter();
        violations
            .extend(told.map(|told| format!("seed {seed}, run {number}: {told}\n    {schedule}")));
        if only.is_some() {
            say(&format!("{schedule}\n{:?}\n{}\n", run.ended, run.said));
        }
    }
    if asked.is_some() {
        say(&counts.table());
    }
    assert!(
        violations.is_empty(),
        "{}\nto see one again: scripts/faults --seed {seed} --only RUN",
        violations.join("\n")
    );
}

/// Tells whoever asked for the runs, past the test's harness.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
