//! Web addresses in texts. A presigned one is a key.

/// `text` without the user and the query of any web address in it.
pub(super) fn without_queries(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = find_address(rest) {
        let (before, address) = rest.split_at(start);
        let end = address.find(ends_address).unwrap_or(address.len());
        let (address, after) = address.split_at(end);
        shown.push_str(before);
        push_address(&mut shown, address);
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// The place where the next `http://` or `https://` begins.
fn find_address(text: &str) -> Option<usize> {
    let lower = text.as_bytes();
    let begins = |scheme: &[u8]| {
        lower
            .windows(scheme.len())
            .position(|window| window.eq_ignore_ascii_case(scheme))
    };
    match (begins(b"http://"), begins(b"https://")) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn ends_address(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || matches!(letter, '"' | '<' | '>' | '\\' | '`')
}

fn push_address(shown: &mut String, address: &str) {
    let (scheme, rest) = address.split_at(address.find("//").map_or(0, |at| at + 2));
    shown.push_str(scheme);
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..authority].rfind('@').map_or(0, |at| at + 1);
    let rest = &rest[host..];
    match rest.find('?') {
        Some(query) => {
            shown.push_str(&rest[..query]);
            shown.push_str("?[redacted]");
        }
        None => shown.push_str(rest),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn queries_and_users_go() {
        for (text, shown) in [
            (
                "PUT https://u:p@h/p?X-Amz-Signature=s, then",
                "PUT https://h/p?[redacted] then",
            ),
            ("\"HTTP://h?a=b\" c", "\"HTTP://h?[redacted]\" c"),
            ("http://a/b https://c/d", "http://a/b https://c/d"),
            ("s3://b/k?versionId=1", "s3://b/k?versionId=1"),
        ] {
            assert_eq!(without_queries(text), shown);
        }
    }

    proptest! {
        #[test]
        fn no_query_survives(before in ".{0,20}", host in "[a-z.]{1,9}", after in ".{0,20}") {
            let text = format!("{before}https://{host}/p?k=hiddenhidden {after}");
            prop_assert!(!without_queries(&text).contains("hiddenhidden"));
        }
    }
}
