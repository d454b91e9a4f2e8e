//! The names of a mirror and of its runs.

use crate::cloudformation::request::Request;
use crate::oci::Digest;

/// The way in which the physical ID of a mirror begins.
const PHYSICAL_ID: &str = "longshore-mirror/";
/// Hex digits of a mirror's ID: 64 bits.
const ID: usize = 16;
/// The longest name of an execution.
const MAX_NAME: usize = 80;
/// Hex digits that stand for the ID of a request that cannot be part of a name.
const HASH: usize = 32;

/// What the mirror of a request is called among all others: the same for all requests of one
/// resource of one stack.
pub(super) fn mirror_id(request: &Request) -> String {
    let name = format!("{}\n{}", request.stack_id, request.logical_resource_id);
    Digest::sha256(name.as_bytes()).hex()[..ID].to_owned()
}

/// The physical ID of the mirror of a request.
pub(in crate::cloudformation) fn physical_id(request: &Request) -> String {
    format!("{PHYSICAL_ID}{}", mirror_id(request))
}

/// What the names of all runs of a mirror begin with.
pub(super) fn prefix(mirror: &str) -> String {
    format!("{mirror}-")
}

/// The name of the run for a request. The same request has the same run.
pub(super) fn run_id(mirror: &str, request: &Request) -> String {
    let id = &request.request_id;
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    let name = format!("{}{id}", prefix(mirror));
    if !id.is_empty() && id.bytes().all(is_fit) && name.len() <= MAX_NAME {
        return name;
    }
    let hash = Digest::sha256(id.as_bytes());
    format!("{}{}", prefix(mirror), &hash.hex()[..HASH])
}

/// The key of an object of a run.
pub(super) fn key(run: &str, name: &str) -> String {
    format!("runs/{run}/{name}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;

    fn request(id: &str) -> Request {
        let event = json!({
            "RequestType": "Create", "RequestId": id, "StackId": "stack", "LogicalResourceId": "M",
        });
        Request::read(&RawValue::from_string(event.to_string()).unwrap()).unwrap()
    }

    #[test]
    fn a_run_is_named_by_its_request() {
        let uuid = "f2b1c7a0-4d0e-4e0e-9d2a-3b1d5c6e7f80";
        let mirror = mirror_id(&request(uuid));
        assert_eq!(mirror.len(), 16);
        assert_eq!(run_id(&mirror, &request(uuid)), format!("{mirror}-{uuid}"));
    }

    #[test]
    fn any_id_of_a_request_makes_a_name() {
        let mut names = std::collections::BTreeSet::new();
        for id in ["", "a/b", "a b", &"x".repeat(64), &"x".repeat(65)] {
            let name = run_id("0123456789abcdef", &request(id));
            assert!(name.len() <= 80, "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
                "{name}"
            );
            assert!(names.insert(name));
        }
    }
}
