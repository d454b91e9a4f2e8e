//! One run: a program works while things go wrong, and then what it left is looked at.

use std::future::pending;
use std::process::Stdio;
use std::time::Duration;

use longshore::oci::Digest;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::schedule::{Kill, Program, Schedule, Source};
use super::world::{Fixtures, ROLE, World, strange_words};
use crate::support::{Cloud, ECR, End, Function};

/// What the function has for one invocation in which something may hang.
const SHORT: Duration = Duration::from_secs(8);
/// What it has where it must succeed, also on a busy machine.
const LONG: Duration = Duration::from_mins(1);
/// What a command may take, with all its retries.
const LONGEST_COMMAND: Duration = Duration::from_mins(2);

/// What became of a run.
pub(super) struct Run {
    pub(super) ended: Ended,
    /// Whether anything went wrong, as it was to.
    pub(super) met: bool,
    /// Whether the answer is that to the record of a failed invocation.
    pub(super) by_record: bool,
    /// What the tag names after the first attempt.
    pub(super) tagged: Option<Digest>,
    /// All that was logged, printed and answered.
    pub(super) said: String,
    /// Broken promises.
    pub(super) violations: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Succeeded,
    Failed,
    Killed,
}

/// What an attempt told.
pub(super) struct Attempt {
    ended: Ended,
    by_record: bool,
    said: String,
    violations: Vec<String>,
}

impl Run {
    /// Plays a schedule. `expected`: what the tag is to name at the end.
    pub(super) async fn of(
        schedule: &Schedule,
        fixtures: &Fixtures,
        expected: Option<&Digest>,
    ) -> Self {
        let world = World::new(fixtures, schedule.replaces).await;
        for play in &schedule.plays {
            world.faults(play.place.server).add(play.fault());
        }
        if let Some(kill) = &schedule.kill {
            world.faults(kill.server).add(kill.fault());
        }
        let planned = pending_faults(schedule, &world);
        let mut worker = Worker::start(schedule, &world).await;
        let attempt = worker.attempt(schedule.kill.as_ref()).await;
        let met = planned != pending_faults(schedule, &world);
        world.make_peace();
        let mut run = Self {
            met,
            ended: attempt.ended,
            by_record: attempt.by_record,
            tagged: world.tagged().await,
            said: attempt.said,
            violations: attempt.violations,
        };
        run.check_registry(&world, expected, schedule).await;
        if run.ended != Ended::Succeeded {
            run.check_next_attempt(&world, &mut worker, expected).await;
        }
        let strange = strange_words(&run.said).into_iter();
        run.violations
            .extend(strange.map(|word| format!("it says {word:?}: {}", run.said)));
        run
    }

    /// A run that could not be made.
    pub(super) fn broken(why: &str) -> Self {
        Self {
            ended: Ended::Failed,
            met: false,
            by_record: false,
            tagged: None,
            said: String::new(),
            violations: vec![format!("the run broke: {why}")],
        }
    }

    async fn check_registry(
        &mut self,
        world: &World,
        expected: Option<&Digest>,
        schedule: &Schedule,
    ) {
        let missing = world.missing().await;
        if !missing.is_empty() {
            self.tell(format!("a tag lacks {}", missing.join(", ")));
        }
        let Some(expected) = expected else {
            return;
        };
        let (is_new, is_former) = (
            self.tagged.as_ref() == Some(expected),
            self.tagged == world.former,
        );
        let is_kept = match self.ended {
            Ended::Succeeded => is_new,
            // Who is told by a record, or not at all, is told of an end at any point.
            Ended::Failed if self.by_record || schedule.may_hide_the_tag() => is_new || is_former,
            Ended::Killed => is_new || is_former,
            Ended::Failed => is_former,
        };
        if !is_kept {
            let (ended, tagged) = (self.ended, &self.tagged);
            self.tell(format!(
                "{ended:?}, but the tag names {tagged:?}: {}",
                self.said
            ));
        }
    }

    async fn check_next_attempt(
        &mut self,
        world: &World,
        worker: &mut Worker<'_>,
        expected: Option<&Digest>,
    ) {
        let next = worker.attempt(None).await;
        self.violations.extend(next.violations);
        if next.ended != Ended::Succeeded {
            self.tell(format!("the next attempt fails: {}", next.said));
        }
        if world.tagged().await.as_ref() != expected {
            self.tell("the next attempt tags something else".to_owned());
        }
        self.said.push_str(&next.said);
    }

    fn tell(&mut self, violation: String) {
        self.violations.push(violation);
    }
}

fn pending_faults(schedule: &Schedule, world: &World) -> Vec<usize> {
    let plays = schedule.plays.iter().map(|play| play.place.server);
    let kill = schedule.kill.iter().map(|kill| kill.server);
    plays
        .chain(kill)
        .map(|server| world.faults(server).pending())
        .collect()
}

/// Comes to an end when the process is to be killed.
async fn time_to_kill(world: &World, kill: Option<&Kill>) {
    let Some(kill) = kill else {
        return pending().await;
    };
    while world.faults(kill.server).pending() > 0 {
        sleep(Duration::from_millis(2)).await;
    }
    sleep(kill.pause).await;
}

/// Whatever does the work, again if it is asked again.
pub(super) struct Worker<'a> {
    world: &'a World,
    schedule: &'a Schedule,
    function: Option<Function>,
    attempts: u32,
}

impl<'a> Worker<'a> {
    pub(super) async fn start(schedule: &'a Schedule, world: &'a World) -> Self {
        let function = match schedule.program {
            Program::Function => Some(Function::start(world.variables()).await),
            Program::Command => None,
        };
        Self {
            world,
            schedule,
            function,
            attempts: 0,
        }
    }

    pub(super) async fn attempt(&mut self, kill: Option<&Kill>) -> Attempt {
        self.attempts += 1;
        match self.function.take() {
            Some(function) => self.invoke(function, kill).await,
            None => self.command(kill).await,
        }
    }

    /// Has the function work, as often as it asks for itself, until nobody waits for an answer.
    async fn invoke(&mut self, mut function: Function, kill: Option<&Kill>) -> Attempt {
        let time = match self.attempts {
            1 if !self.schedule.plays.is_empty() => SHORT,
            _ => LONG,
        };
        let event = self.event();
        let before = self.world.answers().len();
        let mut said = String::new();
        let mut violations = Vec::new();
        let mut end = function
            .invoke_until(&event, time, time_to_kill(self.world, kill))
            .await;
        while let Some(next) = self.next_invocation().await {
            end = function.invoke(&next, time).await;
        }
        match &end {
            End::Died if kill.is_none() => violations.push("the process died".to_owned()),
            End::Overdue => violations.push("the function went on beyond its time".to_owned()),
            _ => {}
        }
        let answered = self.world.answers().len() > before;
        if let Some(payload) = failure(&end) {
            self.world.make_peace();
            function = self.alive(function, &mut said).await;
            let record = Cloud::record(&event, &payload);
            let end = function.invoke(&record, LONG).await;
            if !matches!(&end, End::Returned(failed) if *failed == json!({"batchItemFailures": []}))
            {
                violations.push(format!("the record gave {end:?}"));
            }
        }
        let answers = self.world.answers().split_off(before);
        violations.extend(strange_answers(&answers));
        said.push_str(&function.log());
        for answer in &answers {
            said.push_str(&answer.to_string());
        }
        self.function = Some(self.alive(function, &mut String::new()).await);
        let succeeded = answers
            .first()
            .is_some_and(|answer| answer["Status"] == "SUCCESS");
        Attempt {
            ended: if succeeded {
                Ended::Succeeded
            } else {
                Ended::Failed
            },
            by_record: !answered,
            said,
            violations,
        }
    }

    /// The function, with another process if its own has ended.
    async fn alive(&self, mut function: Function, said: &mut String) -> Function {
        if function.is_alive() {
            return function;
        }
        said.push_str(&function.log());
        Function::start(self.world.variables()).await
    }

    async fn next_invocation(&self) -> Option<Value> {
        let next = self
            .world
            .environment
            .aws
            .next_invocation(Duration::ZERO)
            .await?;
        Some(serde_json::from_slice(&next.payload).expect("an event is JSON"))
    }

    fn event(&self) -> Value {
        let mut properties = json!({
            "Source": self.source(),
            "Destination": World::destination(),
            "CreateRepository": "true",
        });
        match self.schedule.source {
            Source::Archive => properties["SourceRoleArn"] = json!(ROLE),
            Source::Registry => properties["SourceCredentials"] = json!("login"),
        }
        if self.schedule.one_by_one {
            properties["MaxConcurrency"] = json!("1");
        }
        if self.schedule.without_retries {
            properties["Retry"] = json!("1");
        }
        let request = if self.world.former.is_some() {
            "Update"
        } else {
            "Create"
        };
        let mut event = Cloud::completed(json!({
            "RequestType": request,
            "RequestId": format!("request-{}", self.attempts),
            "ResourceProperties": properties,
        }));
        if let Some(former) = &self.world.former {
            event["PhysicalResourceId"] = json!(format!("{ECR}/app@{former}"));
            event["OldResourceProperties"] = json!({
                "Source": "s3://images/former.tar",
                "Destination": World::destination(),
                "CreateRepository": "true",
            });
        }
        event["ResponseURL"] = json!(self.world.stack.url());
        event
    }

    fn source(&self) -> String {
        match self.schedule.source {
            Source::Archive => "s3://images/example.tar".to_owned(),
            Source::Registry => self.world.image(),
        }
    }

    async fn command(&self, kill: Option<&Kill>) -> Attempt {
        let said = tempfile::NamedTempFile::new().expect("a log file");
        let log = said.reopen().expect("a handle of the log");
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_longshore"));
        command
            .args([
                "copy",
                &self.source(),
                &World::destination(),
                "--create-repository",
            ])
            .env_clear()
            .envs(self.world.variables())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .kill_on_drop(true);
        if self.schedule.one_by_one {
            command.args(["--concurrency", "1"]);
        }
        let mut process = command.spawn().expect("the command");
        let mut violations = Vec::new();
        let ended = tokio::select! {
            status = timeout(LONGEST_COMMAND, process.wait()) => {
                if let Ok(status) = status {
                    let status = status.expect("the status of the command");
                    if !matches!(status.code(), Some(0 | 1)) {
                        violations.push(format!("the command ended with {status}"));
                    }
                    if status.success() { Ended::Succeeded } else { Ended::Failed }
                } else {
                    violations.push("the command does not end".to_owned());
                    Ended::Killed
                }
            }
            () = time_to_kill(self.world, kill) => Ended::Killed,
        };
        if ended == Ended::Killed {
            process.kill().await.expect("a process to kill");
        }
        let said = std::fs::read(said.path()).expect("the log of the command");
        Attempt {
            ended,
            by_record: false,
            said: String::from_utf8_lossy(&said).into_owned(),
            violations,
        }
    }
}

/// What Lambda writes of an invocation that failed.
fn failure(end: &End) -> Option<Value> {
    match end {
        End::Returned(_) => None,
        End::Failed(error) => Some(error.clone()),
        End::Died => Some(json!({
            "errorType": "Runtime.ExitError",
            "errorMessage": "RequestId: 1 Error: Runtime exited with error: signal: killed",
        })),
        End::Overdue => {
            Some(json!({ "errorType": "Sandbox.Timedout", "errorMessage": "Task timed out" }))
        }
    }
}

/// What is wrong with the answers to one request.
fn strange_answers(answers: &[Value]) -> Option<String> {
    let Some((first, others)) = answers.split_first() else {
        return Some("no answer".to_owned());
    };
    let differs = others.iter().any(|other| other != first);
    differs.then(|| format!("answers that differ: {answers:?}"))
}
