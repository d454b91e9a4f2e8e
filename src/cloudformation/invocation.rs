//! One invocation of the function.

use tokio::time::Instant;

/// One invocation of the function, as far as the handler needs to know it.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The invocation's ID, under which the platform logs it.
    pub id: String,
    /// When the platform ends it.
    pub deadline: Instant,
    /// ARN of the function that was invoked, with its version or alias if one was named.
    pub function: String,
    /// The log group that its log lines go to. Empty where there is none.
    pub log_group: String,
}
