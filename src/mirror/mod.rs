//! Mirrors: a list of images and repositories, kept current at their destinations.
//!
//! A list ([`list`]) names sources, filters of their tags, and destinations. A plan compares what
//! the list means at present with what the destinations have; each image that differs is an
//! [`Item`], the properties of one deployment. Items are copied side by side, and a [`Report`]
//! says what became of each.
//!
//! On one machine a [`Sync`] does all of it. In AWS a state machine of Step Functions does, and
//! invokes the function for each part ([`Mirrors`]); what one part leaves to the next is in the
//! objects of the mirror's bucket ([`Run`]).

mod call;
mod copying;
mod error;
mod function;
mod item;
mod ledger;
pub mod list;
mod outcome;
mod plan;
mod pruning;
mod report;
mod run;
mod sync;

pub use call::{Call, Caught, InvalidCall, Operation, VERSION};
pub use copying::{Copier, Turn};
pub use error::Error;
pub use function::Mirrors;
pub use item::{Item, Reason};
pub use ledger::{Ledger, Way};
pub use outcome::{Outcome, Status};
pub use plan::{
    Compared, Cursor, Drift, Extra, Group, Page, Phase, Planned, Planner, Position, Selected, Tags,
    Wanted,
};
pub use pruning::Pruned;
pub use report::{MAX_NAMED, Report, Totals};
pub use run::{Input, InvalidRun, Mode, Run};
pub use sync::{Progress, Step, Sync, SyncOptions};

use crate::cloudformation::{chain, plain};
use crate::redact::scrub;

/// An error and its causes on one line, without secrets.
fn shown(error: &(dyn std::error::Error + 'static)) -> String {
    plain(&scrub(&chain(error)))
}
