//! `WWW-Authenticate`: how a server wants to be told who asks
//! ([RFC 9110, section 11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)).

/// One challenge: a scheme with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct Challenge {
    /// The scheme in lowercase: `basic`, `bearer`.
    pub(in crate::registry) scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter, by its lowercase name.
    pub(in crate::registry) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads the challenges of one header. What is malformed ends the list.
pub(in crate::registry) fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = Cursor(header);
    loop {
        rest.skip(|c| c == ',' || c.is_ascii_whitespace());
        let word = rest.take(is_token);
        if word.is_empty() {
            return challenges;
        }
        rest.skip(|c| c == ' ' || c == '\t');
        let Some(value) = rest.value() else {
            challenges.push(Challenge {
                scheme: word.to_ascii_lowercase(),
                parameters: Vec::new(),
            });
            continue;
        };
        let Some(challenge) = challenges.last_mut() else {
            return challenges;
        };
        challenge
            .parameters
            .push((word.to_ascii_lowercase(), value));
    }
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !wanted(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn skip(&mut self, unwanted: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(unwanted);
    }

    /// The value after an equals sign, quoted or not. `None` where there is no equals sign.
    fn value(&mut self) -> Option<String> {
        self.0 = self.0.strip_prefix('=')?;
        self.skip(|c| c == ' ' || c == '\t');
        let Some(quoted) = self.0.strip_prefix('"') else {
            return Some(
                self.take(|c| c != ',' && !c.is_ascii_whitespace())
                    .to_owned(),
            );
        };
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return Some(value);
                }
                '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
                other => value.push(other),
            }
        }
        self.0 = "";
        Some(value)
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_registries_send() {
        let hub = parse(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull,push""#,
        );
        assert_eq!(hub.len(), 1);
        assert_eq!(hub[0].scheme, "bearer");
        assert_eq!(
            hub[0].parameter("scope"),
            Some("repository:library/nginx:pull,push")
        );
        let basic = parse(r#"Basic realm="https://r.example/",service="ecr.amazonaws.com""#);
        assert_eq!(basic[0].scheme, "basic");
    }

    #[test]
    fn reads_several_in_one_header() {
        let both = parse(r#"Negotiate, BEARER Realm = "a\"b" , error=invalid_token,basic realm=x"#);
        let schemes: Vec<_> = both.iter().map(|c| c.scheme.as_str()).collect();
        assert_eq!(schemes, ["negotiate", "bearer", "basic"]);
        assert_eq!(both[1].parameter("realm"), Some("a\"b"));
        assert_eq!(both[1].parameter("error"), Some("invalid_token"));
        assert_eq!(both[2].parameter("realm"), Some("x"));
    }

    proptest! {
        #[test]
        fn any_header_ends(text in "\\PC{0,80}", like in "[Ba =,\"\\\\]{0,40}") {
            parse(&text);
            parse(&like);
        }

        #[test]
        fn quoting_is_undone(value in "\\PC{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let parsed = parse(&format!("Bearer realm=\"{quoted}\", service=s"));
            prop_assert_eq!(parsed[0].parameter("realm"), Some(value.as_str()));
            prop_assert_eq!(parsed[0].parameter("service"), Some("s"));
        }
    }
}
