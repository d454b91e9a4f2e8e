//! The parts that all clients of the web share: hosts, the addresses behind them, and headers.

mod content_range;
mod host_pattern;
mod http_client;
mod resolve;
mod retry_after;
mod trouble;

pub(crate) use content_range::ContentRange;
pub use host_pattern::{HostPattern, InvalidHostPattern};
pub(crate) use http_client::http_client;
pub(crate) use resolve::{LocalAddress, Reach, Resolver, SharedResolver};
pub(crate) use retry_after::{AskedWait, parse_retry_after};
use trouble::LookupFailed;
pub use trouble::{Distrust, Trouble};
