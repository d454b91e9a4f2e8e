//! Conditions that keep strangers out: those under which a principal may be `*`.

use serde_json::{Map, Value};

/// Keys whose values a stranger cannot choose for a request of his own
/// ([global condition keys](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html)).
/// Tags are not among them: everyone tags principals of an account of his own.
const IDS: [&str; 9] = [
    "aws:principalaccount",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
];
/// The same, with ARNs as values.
const ARNS: [&str; 2] = ["aws:principalarn", "aws:sourcearn"];
/// The same, with ranges of addresses as values.
const ADDRESSES: [&str; 1] = ["aws:sourceip"];
/// The shortest prefixes of ranges that are not most of the internet.
const SHORTEST_V4: u8 = 8;
const SHORTEST_V6: u8 = 16;

/// Returns true if a condition lets only some in. It does by any comparison that must hold, since
/// all must; a comparison with several values does if each of them lets only some in.
pub(super) fn restricts(condition: &Map<String, Value>) -> bool {
    let comparisons = condition.iter().filter_map(|(operator, keys)| {
        let operator = operator.to_ascii_lowercase();
        // `ForAllValues` and `…IfExists` hold where the key is missing.
        let operator = operator.strip_prefix("foranyvalue:").unwrap_or(&operator);
        Some((operator.to_owned(), keys.as_object()?))
    });
    comparisons
        .flat_map(|(operator, keys)| keys.iter().map(move |pair| (operator.clone(), pair)))
        .any(|(operator, (key, values))| {
            let key = key.to_ascii_lowercase();
            let of: Option<fn(&str) -> bool> = match operator.as_str() {
                "stringequals" | "stringequalsignorecase" | "stringlike"
                    if IDS.contains(&key.as_str()) =>
                {
                    Some(is_one_id)
                }
                "stringequals"
                | "stringequalsignorecase"
                | "stringlike"
                | "arnequals"
                | "arnlike"
                    if ARNS.contains(&key.as_str()) =>
                {
                    Some(is_of_one_owner)
                }
                "ipaddress" if ADDRESSES.contains(&key.as_str()) => Some(is_small_range),
                _ => None,
            };
            of.is_some_and(|of| all(values, of))
        })
}

fn all(values: &Value, of: fn(&str) -> bool) -> bool {
    match values {
        // A policy variable may be whatever the request makes it.
        Value::String(text) => !text.contains("${") && of(text),
        Value::Array(list) => !list.is_empty() && list.iter().all(|value| all(value, of)),
        _ => false,
    }
}

/// An ID, or a path that begins with one.
fn is_one_id(text: &str) -> bool {
    let first = text.split(['/', ':']).next().unwrap_or_default();
    !first.is_empty() && !has_wildcard(first)
}

/// An ARN whose account is one, or whose resource is where ARNs have no account.
fn is_of_one_owner(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", _partition, service, _region, account, resource] = parts.as_slice() else {
        return false;
    };
    if has_wildcard(service) {
        return false;
    }
    if !account.is_empty() {
        return !has_wildcard(account);
    }
    let name = resource.split('/').next().unwrap_or_default();
    !name.is_empty() && !has_wildcard(name)
}

fn is_small_range(text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse::<u8>().ok()),
        None => (text, Some(u8::MAX)),
    };
    let shortest = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => SHORTEST_V4,
        Ok(std::net::IpAddr::V6(_)) => SHORTEST_V6,
        Err(_) => return false,
    };
    prefix.is_some_and(|prefix| prefix >= shortest)
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn is_restricting(condition: &Value) -> bool {
        restricts(condition.as_object().unwrap())
    }

    #[test]
    fn some_conditions_let_only_some_in() {
        for condition in [
            json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
            json!({"stringequals": {"AWS:principalorgid": ["o-a1b2c3d4e5", "o-b2"]}}),
            json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1/r-ab12/*"}}),
            json!({"StringEquals": {"aws:PrincipalAccount": "123456789012"}}),
            json!({"StringEquals": {"aws:SourceAccount": "123456789012"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/*"}}),
            json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::a-bucket/*"}}),
            json!({"StringEquals": {"aws:SourceVpce": "vpce-0123"}}),
            json!({"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"]}}),
            json!({"Bool": {"aws:SecureTransport": "true"},
                "StringEquals": {"aws:PrincipalOrgID": "o-a1"}}),
        ] {
            assert!(is_restricting(&condition), "{condition}");
        }
    }

    #[test]
    fn others_let_everyone_in() {
        for condition in [
            json!({}),
            json!({"StringEquals": {}}),
            json!({"StringEquals": {"aws:PrincipalOrgID": []}}),
            json!({"StringLike": {"aws:PrincipalOrgID": "*"}}),
            json!({"StringLike": {"aws:PrincipalOrgID": "o-*"}}),
            json!({"StringLike": {"aws:PrincipalOrgID": ["o-a1", "*"]}}),
            json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "*/r-ab12/*"}}),
            json!({"ForAllValues:StringEquals": {"aws:PrincipalOrgPaths": "o-a1/*"}}),
            json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a1"}}),
            json!({"StringNotEquals": {"aws:PrincipalOrgID": "o-a1"}}),
            json!({"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}}),
            json!({"StringEquals": {"aws:PrincipalTag/team": "a"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/reader"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "*"}}),
            json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}),
            json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}),
            json!({"IpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}}),
            json!({"IpAddress": {"aws:SourceIp": "::/0"}}),
            json!({"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}}),
            json!({"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}),
            json!({"Null": {"aws:PrincipalOrgID": "false"}}),
            json!({"Bool": {"aws:SecureTransport": "true"}}),
            json!({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}),
            json!({"StringLike": {"aws:UserAgent": "docker*"}}),
            json!({"StringEquals": "aws:PrincipalOrgID"}),
        ] {
            assert!(!is_restricting(&condition), "{condition}");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_judged(value in "\\PC{0,60}|(arn:[a-z:*?/0-9]{0,40})|[0-9a-f.:/]{0,20}") {
            for (operator, key) in [
                ("StringLike", "aws:PrincipalOrgID"),
                ("ArnLike", "aws:PrincipalArn"),
                ("IpAddress", "aws:SourceIp"),
            ] {
                let mut block = Map::new();
                block.insert(key.to_owned(), value.clone().into());
                let condition = Map::from_iter([(operator.to_owned(), block.into())]);
                let judged = restricts(&condition);
                prop_assert!(!judged || value != "*");
            }
        }
    }
}
