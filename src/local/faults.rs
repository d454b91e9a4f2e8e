//! Faults on demand.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::{Method, StatusCode};

/// The faults that a stand-in is to show. A handle: clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Vec<Fault>>>);

impl Faults {
    /// Adds a fault. A request meets the first fault that applies to it, and only that.
    pub fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// Forgets all faults.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The number of more requests that are to meet a fault.
    pub fn pending(&self) -> usize {
        self.lock().iter().map(|fault| fault.times as usize).sum()
    }

    /// The fault that a request meets.
    pub(super) fn meet(&self, method: &Method, path: &str) -> Option<Effect> {
        let mut faults = self.lock();
        let mut met = None;
        for fault in faults
            .iter_mut()
            .filter(|fault| fault.applies(method, path))
        {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else {
                fault.times -= 1;
                met = Some(fault.effect.clone());
                break;
            }
        }
        faults.retain(|fault| fault.times > 0);
        met
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thing that goes wrong, once unless [`Fault::times`] says otherwise, with the next request
/// unless [`Fault::on`], [`Fault::at`] and [`Fault::skip`] say which.
#[derive(Clone, Debug)]
pub struct Fault {
    method: Option<String>,
    path: String,
    skip: u32,
    times: u32,
    effect: Effect,
}

/// An error answer; without a code and a message, what the stand-in has for the status.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    said: Option<(String, String)>,
    retry_after: Option<u64>,
}

impl Failure {
    /// `Retry-After` in seconds.
    pub(super) fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// The code and message of the answer, given those that fit its status.
    pub(super) fn words<'a>(&'a self, code: &'a str, message: &'a str) -> (&'a str, &'a str) {
        match &self.said {
            Some((code, message)) => (code, message),
            None => (code, message),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Effect {
    Answer(Failure),
    CutAnswer(u64),
    Truncate(u64),
    Corrupt(u64),
    Stall(u64),
    Page(StatusCode),
    Redirect(String),
    Raw(&'static str),
    WrongDigest,
    Refuse,
    DropAnswer,
    CutRequest(u64),
    Delay(Duration),
    Pace(NonZeroU64),
    Hang,
}

impl Fault {
    /// Answers with an error status, in the stand-in's own form, without doing anything.
    /// A number that is no HTTP status gives 500.
    pub fn answer(status: u16) -> Self {
        Self::new(Effect::Answer(Failure {
            status: status_of(status),
            said: None,
            retry_after: None,
        }))
    }

    /// Drops the connection after `bytes` of the answer's body.
    pub fn cut_answer(bytes: u64) -> Self {
        Self::new(Effect::CutAnswer(bytes))
    }

    /// Ends the answer's body after `bytes` as if that were all.
    pub fn truncate(bytes: u64) -> Self {
        Self::new(Effect::Truncate(bytes))
    }

    /// Changes the byte at `offset` of the answer's body.
    pub fn corrupt(offset: u64) -> Self {
        Self::new(Effect::Corrupt(offset))
    }

    /// Sends `bytes` of the answer's body, and then nothing more.
    pub fn stall(bytes: u64) -> Self {
        Self::new(Effect::Stall(bytes))
    }

    /// Answers with an HTML page, without doing anything, as a proxy or a sign-in page does.
    /// A number that is no HTTP status gives 500.
    pub fn page(status: u16) -> Self {
        Self::new(Effect::Page(status_of(status)))
    }

    /// Sends the request elsewhere: to a URL, or to a reference that is relative to its own.
    pub fn redirect(location: &str) -> Self {
        Self::new(Effect::Redirect(location.to_owned()))
    }

    /// Sends these bytes in the place of an answer, then drops the connection.
    pub fn raw(bytes: &'static str) -> Self {
        Self::new(Effect::Raw(bytes))
    }

    /// Has the answer's `Docker-Content-Digest` name other content.
    pub fn wrong_digest() -> Self {
        Self::new(Effect::WrongDigest)
    }

    /// Drops the connection without doing anything.
    pub fn refuse() -> Self {
        Self::new(Effect::Refuse)
    }

    /// Does what is asked for, and drops the connection in the place of an answer.
    pub fn drop_answer() -> Self {
        Self::new(Effect::DropAnswer)
    }

    /// Takes `bytes` of the request's body, then drops the connection.
    pub fn cut_request(bytes: u64) -> Self {
        Self::new(Effect::CutRequest(bytes))
    }

    /// Waits before answering.
    pub fn delay(time: Duration) -> Self {
        Self::new(Effect::Delay(time))
    }

    /// Takes and sends bodies at so many bytes a second.
    pub fn pace(bytes_per_second: NonZeroU64) -> Self {
        Self::new(Effect::Pace(bytes_per_second))
    }

    /// Never answers.
    pub fn hang() -> Self {
        Self::new(Effect::Hang)
    }

    fn new(effect: Effect) -> Self {
        Self {
            method: None,
            path: String::new(),
            skip: 0,
            times: 1,
            effect,
        }
    }

    /// Only for requests of this method whose path contains `path`.
    #[must_use]
    pub fn on(mut self, method: &str, path: &str) -> Self {
        self.method = Some(method.to_owned());
        path.clone_into(&mut self.path);
        self
    }

    /// Only for requests whose path contains `path`, whatever their method.
    #[must_use]
    pub fn at(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Lets so many of these requests through first.
    #[must_use]
    pub fn skip(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// For so many requests.
    #[must_use]
    pub fn times(mut self, requests: u32) -> Self {
        self.times = requests;
        self
    }

    /// Adds `Retry-After` in seconds to [`Fault::answer`].
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        if let Effect::Answer(failure) = &mut self.effect {
            failure.retry_after = Some(seconds);
        }
        self
    }

    /// Gives [`Fault::answer`] a code and a message of its own.
    #[must_use]
    pub fn saying(mut self, code: &str, message: &str) -> Self {
        if let Effect::Answer(failure) = &mut self.effect {
            failure.said = Some((code.to_owned(), message.to_owned()));
        }
        self
    }

    fn applies(&self, method: &Method, path: &str) -> bool {
        let method_matches = self
            .method
            .as_deref()
            .is_none_or(|own| own == method.as_str());
        self.times > 0 && method_matches && path.contains(&self.path)
    }
}

fn status_of(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meets_the_requests_it_is_for() {
        let faults = Faults::default();
        faults.add(Fault::answer(500).on("GET", "/blobs/").skip(1).times(2));
        let met = |method, path| faults.meet(&method, path).is_some();
        assert!(!met(Method::PUT, "/v2/a/blobs/x"));
        assert!(!met(Method::GET, "/v2/a/manifests/x"));
        assert!(!met(Method::GET, "/v2/a/blobs/x"));
        assert!(met(Method::GET, "/v2/a/blobs/x"));
        assert_eq!(faults.pending(), 1);
        assert!(met(Method::GET, "/v2/b/blobs/y"));
        assert!(!met(Method::GET, "/v2/b/blobs/y"));
        assert_eq!(faults.pending(), 0);
    }
}
