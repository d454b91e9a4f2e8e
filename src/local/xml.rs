//! The little XML that S3 and STS speak.

use hyper::StatusCode;

use super::http::{Response, typed};

/// `<name>text</name>`, the text escaped.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// An answer with a document.
pub(super) fn document(status: StatusCode, root: &str) -> Response {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{root}");
    typed(status, "application/xml", text)
}

/// An error as S3 words it.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let inner = [element("Code", code), element("Message", message)].concat();
    document(
        status,
        &format!("<Error>{inner}<RequestId>local</RequestId></Error>"),
    )
}

/// The texts of all elements of this name, unescaped. For documents that an SDK wrote: no
/// comments, no nesting of equal names.
pub(super) fn texts(document: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = document.split(&open).skip(1);
    let texts = parts.filter_map(|part| part.split(&close).next());
    texts.map(unescape).collect()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            char => escaped.push(char),
        }
    }
    escaped
}

fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&#34;", "\"");
    text.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let text = "a<b & \"c\" &lt;";
        let document = format!("<x>{}</x>", element("Key", text));
        assert_eq!(texts(&document, "Key"), [text]);
        assert!(texts(&document, "ETag").is_empty());
    }
}
