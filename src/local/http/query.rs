//! Query strings.

use percent_encoding::percent_decode_str;

/// The decoded parameters of a query, in their order.
#[derive(Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string. A parameter without `=` has an empty value.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (form_decode(name), form_decode(value)))
                .collect(),
        )
    }

    /// The first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        let pair = pairs.find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str())
    }

    /// Returns true if a parameter is there, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let matching = self.0.iter().filter(move |(key, _)| key == name);
        matching.map(|(_, value)| value.as_str())
    }
}

fn form_decode(text: &str) -> String {
    decode(&text.replace('+', " ")).unwrap_or_else(|| text.to_owned())
}

/// Undoes percent-encoding, or nothing where the result is no UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_once() {
        let query = Query::parse("a=1&b&c=x%2520y+z&a=2&&d=%ff");
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.get("b"), Some(""));
        assert_eq!(query.get("c"), Some("x%20y z"));
        assert_eq!(query.get("d"), Some("%ff"));
        assert!(!query.has("e"));
    }
}
