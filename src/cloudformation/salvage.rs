//! What can be saved of an event that is no request: whoever gave a `ResponseURL` waits, even if
//! the event is wrapped into another or is broken somewhere.

/// The text that stands as the value of `name`, wherever in `event` that is; also within a text
/// that is JSON itself, as a message of SNS is.
pub(super) fn find(event: &str, name: &str) -> Option<String> {
    find_plain(event, name).or_else(|| find_plain(&unescaped(event), name))
}

fn find_plain(event: &str, name: &str) -> Option<String> {
    let key = format!("\"{name}\"");
    event.match_indices(&key).find_map(|(at, _)| {
        let value = event[at + key.len()..].trim_start().strip_prefix(':')?;
        let mut values = serde_json::Deserializer::from_str(value).into_iter();
        values.next()?.ok()
    })
}

/// `text` with one level of JSON's escapes of quotes and backslashes taken away.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let escaped = letters.next_if(|next| letter == '\\' && matches!(next, '"' | '\\'));
        plain.push(escaped.unwrap_or(letter));
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_found_wherever_it_is() {
        let request = json!({"n": "\"ResponseURL\"", "ResponseURL": "https://h/p?a=\"\\b"});
        for event in [
            request.to_string(),
            json!([{"detail": request}]).to_string(),
            json!({"Records": [{"Sns": {"Message": request.to_string()}}]}).to_string(),
            format!("{{\"\\ud800\": 1, {}", &request.to_string()[1..]),
        ] {
            let found = find(&event, "ResponseURL");
            assert_eq!(found.as_deref(), Some("https://h/p?a=\"\\b"), "{event}");
        }
        for event in [
            "{}",
            r#"{"ResponseURL": 7}"#,
            r#""ResponseURL""#,
            r#""ResponseURL":"#,
        ] {
            assert_eq!(find(event, "ResponseURL"), None, "{event}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_looked_through(event in "(\"N\"|[:\\\\\" {}é]){0,30}") {
            find(&event, "N");
        }
    }
}
