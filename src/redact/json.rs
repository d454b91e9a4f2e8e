//! Lines of JSON, of which the strings are changed and the rest stays.

/// `line` with every string changed by `change`, which gets it as it is written, without its quotes.
pub(super) fn map_strings(line: &str, change: impl Fn(&str) -> String) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(quote) = rest.find('"') {
        let (before, string) = rest.split_at(quote + 1);
        let (string, after) = string.split_at(end_of_string(string));
        shown.push_str(before);
        shown.push_str(&change(string));
        rest = after.strip_prefix('"').unwrap_or(after);
        shown.push_str(&after[..after.len() - rest.len()]);
    }
    shown.push_str(rest);
    shown
}

/// The place where the closing quote is, or the end of what has none.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_strings_are_changed(one in "\\PC{0,20}", other in "\\PC{0,20}", number in any::<i32>()) {
            let line = serde_json::json!({ "a": one, "b": [number, other] }).to_string();
            prop_assert_eq!(&map_strings(&line, str::to_owned), &line);
            let hidden = map_strings(&line, |_| "x".to_owned());
            prop_assert_eq!(hidden, format!(r#"{{"x":"x","x":[{number},"x"]}}"#));
        }

        #[test]
        fn any_text_is_taken(text in "[\"\\\\a-c]{0,20}") {
            prop_assert_eq!(map_strings(&text, str::to_owned), text);
        }
    }
}
