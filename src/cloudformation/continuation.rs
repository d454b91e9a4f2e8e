//! Work that takes longer than one invocation: short of the deadline it stops, and the function
//! invokes itself with the same event and what is done of it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::content::BoxError;
use crate::copy::{Checkpoint, Meter};

/// The field of an event that only this function adds.
pub(super) const FIELD: &str = "LongshoreContinuation";
/// Most invocations for one request. The platform itself stops functions that invoke themselves
/// about 16 times.
pub(super) const MAX_INVOCATIONS: u32 = 12;

/// Invokes the function again.
pub trait Successor: Send + Sync {
    /// Has `function`, an ARN, invoked once with `event`, and does not wait for its end.
    fn start<'a>(&'a self, function: &'a str, event: String)
    -> BoxFuture<'a, Result<(), BoxError>>;
}

/// What one invocation hands to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Continuation {
    /// The invocation's number, from 1.
    pub invocation: u32,
    /// When the first began, in milliseconds since 1970.
    pub started_at: u64,
    /// Blobs that were at the destination when the one before ended.
    pub blobs: u64,
    /// What need not be found out again.
    pub checkpoint: Checkpoint,
}

impl Continuation {
    /// The first invocation for a request, beginning now.
    pub(crate) fn first() -> Self {
        Self {
            invocation: 1,
            started_at: now(),
            blobs: 0,
            checkpoint: Checkpoint::default(),
        }
    }

    /// The time that the request has been worked on.
    pub(super) fn age(&self) -> Duration {
        Duration::from_millis(now().saturating_sub(self.started_at))
    }

    /// What the next invocation is to know, or `None` where this one brought not one blob more.
    pub(crate) fn next(&self, meter: &Meter) -> Option<Self> {
        let report = meter.report();
        let blobs = report.blobs_uploaded + report.blobs_reused + report.blobs_mounted;
        (blobs > self.blobs).then(|| Self {
            invocation: self.invocation + 1,
            started_at: self.started_at,
            blobs,
            checkpoint: meter.checkpoint(),
        })
    }

    /// `event` with this in the place of what it had.
    pub(super) fn add_to(&self, event: &RawValue) -> serde_json::Result<String> {
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(event.get())?;
        fields.insert(FIELD.to_owned(), to_raw_value(self)?);
        serde_json::to_string(&fields)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Descriptor, Digest, MediaType};

    fn continuation(blobs: u64) -> Continuation {
        Continuation {
            blobs,
            ..Continuation::first()
        }
    }

    #[test]
    fn the_next_knows_what_is_done() {
        let meter = Meter::default();
        meter.count(|report| report.blobs_uploaded += 2);
        meter.count(|report| report.blobs_reused += 1);
        let diff_id = Digest::sha256(b"diff");
        let blob = Descriptor::new(MediaType::OCI_LAYER_GZIP, Digest::sha256(b"blob"), 4);
        meter.stored(&diff_id, &blob);
        meter.resolved(&Digest::sha256(b"root"));

        let next = continuation(2).next(&meter).unwrap();
        assert_eq!((next.invocation, next.blobs), (2, 3));
        assert_eq!(next.checkpoint.root, Some(Digest::sha256(b"root")));
        assert_eq!(next.checkpoint.layers[0].blob, blob);
        assert_eq!(continuation(3).next(&meter), None);
    }

    #[test]
    fn the_event_is_the_same_but_for_it() {
        let event = r#"{"RequestId":"r","ResponseURL":"https://h/p?a=b%2B","n":1.50}"#;
        let event = RawValue::from_string(event.to_owned()).unwrap();
        let once = continuation(1).add_to(&event).unwrap();
        assert!(
            once.contains(r#""n":1.50"#) && once.contains("p?a=b%2B"),
            "{once}"
        );
        let once = RawValue::from_string(once).unwrap();
        let twice = continuation(2).add_to(&once).unwrap();
        assert_eq!(twice.matches(FIELD).count(), 1);
    }
}
