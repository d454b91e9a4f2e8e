//! The policy document of a repository: what others wrote, kept as it is, and what is the owner's.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::canonical::canonical;
use super::statement::aws_principals;
use super::{OwnedStatement, Owner};

/// The most characters that ECR takes as a policy
/// ([ECR, "SetRepositoryPolicy"](https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_SetRepositoryPolicy.html)).
pub const MAX_POLICY_CHARACTERS: usize = 10_240;

/// The version of the policy language that new documents are in.
const VERSION: &str = r#""2012-10-17""#;

/// A policy document.
///
/// Statements and members are kept as they were read, token by token; only white space goes, which
/// ECR adds to what it returns and counts in what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Every member but `Statement`, in order: its name, its JSON.
    members: Vec<(String, String)>,
    statements: Vec<Entry>,
}

/// A statement of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    sid: String,
    json: String,
}

impl Entry {
    /// The statement; `null` where its JSON is nested too deeply to be read.
    fn statement(&self) -> Value {
        serde_json::from_str(&self.json).unwrap_or_default()
    }
}

/// A text that is no policy document.
#[derive(Debug, thiserror::Error)]
#[error("malformed policy document")]
pub struct MalformedPolicy(#[source] serde_json::Error);

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// The text is no JSON object, or its statements are none.
    pub fn parse(text: &str) -> Result<Self, MalformedPolicy> {
        let Members(all) = serde_json::from_str(text).map_err(MalformedPolicy)?;
        let mut members = Vec::new();
        let mut statements = Vec::new();
        for (name, value) in all {
            if name == "Statement" {
                statements = entries(value.get()).map_err(MalformedPolicy)?;
            } else {
                members.push((name, minified(value.get())));
            }
        }
        Ok(Self {
            members,
            statements,
        })
    }

    /// Returns true if nothing is permitted or denied.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// Returns true if the owner's statements are these and no others.
    pub fn holds(&self, owner: &Owner, statements: &[OwnedStatement]) -> bool {
        let (own, _) = self.split(owner);
        let is_there = |wanted: &OwnedStatement| {
            let mut same_sid = own.iter().filter(|entry| entry.sid == wanted.sid());
            same_sid
                .next()
                .is_some_and(|entry| canonical(&entry.statement()) == canonical(wanted.as_json()))
        };
        own.len() == statements.len() && statements.iter().all(is_there)
    }

    /// The same document with these as the owner's statements, after those of others.
    #[must_use]
    pub fn with(&self, owner: &Owner, statements: &[OwnedStatement]) -> Self {
        let (_, others) = self.split(owner);
        let own = statements.iter().map(|statement| Entry {
            sid: statement.sid().to_owned(),
            json: statement.as_json().to_string(),
        });
        Self {
            members: self.members.clone(),
            statements: others.into_iter().cloned().chain(own).collect(),
        }
    }

    /// The statements, by Sid, that name a role or user that is gone, by its unique ID: that is what
    /// IAM shows then
    /// ([IAM, "Unique identifiers"](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids)).
    pub(super) fn orphans(&self) -> Vec<(String, String)> {
        let is_id = |name: &&str| name.starts_with("AROA") || name.starts_with("AIDA");
        let mut found = Vec::new();
        for entry in &self.statements {
            let statement = entry.statement();
            let ids = aws_principals(&statement).into_iter().filter(is_id);
            found.extend(ids.map(|id| (entry.sid.clone(), id.to_owned())));
        }
        found
    }

    /// The Sids of the statements that deny something.
    pub(super) fn denials(&self) -> Vec<String> {
        let denies = |entry: &&Entry| entry.statement()["Effect"] == "Deny";
        let denials = self.statements.iter().filter(denies);
        denials.map(|entry| entry.sid.clone()).collect()
    }

    /// Returns true if `${…}` in it is a policy variable: not before version 2012-10-17, and
    /// documents that name no version are before it.
    pub(super) fn has_variables(&self) -> bool {
        let is_version = |(name, _): &&(String, String)| name == "Version";
        let version = self.members.iter().find(is_version);
        version.is_some_and(|(_, json)| json == VERSION)
    }

    fn split(&self, owner: &Owner) -> (Vec<&Entry>, Vec<&Entry>) {
        let entries = self.statements.iter();
        entries.partition(|entry| owner.owns(&entry.sid))
    }
}

/// A document that has no statement yet.
impl Default for Document {
    fn default() -> Self {
        Self {
            members: vec![("Version".to_owned(), VERSION.to_owned())],
            statements: Vec::new(),
        }
    }
}

/// As JSON without white space.
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (name, json) in &self.members {
            write!(f, "{}:{json},", Value::from(name.as_str()))?;
        }
        f.write_str("\"Statement\":[")?;
        for (at, entry) in self.statements.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}", entry.json)?;
        }
        f.write_str("]}")
    }
}

/// Reads one statement or a list of them.
fn entries(json: &str) -> Result<Vec<Entry>, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Sid {
        #[serde(rename = "Sid", default)]
        sid: Option<String>,
    }
    let raw: Vec<Box<RawValue>> = if json.trim_start().starts_with('[') {
        serde_json::from_str(json)?
    } else {
        vec![serde_json::from_str(json)?]
    };
    raw.iter()
        .map(|raw| {
            let Sid { sid } = serde_json::from_str(raw.get())?;
            Ok(Entry {
                sid: sid.unwrap_or_default(),
                json: minified(raw.get()),
            })
        })
        .collect()
}

/// JSON without the white space between its tokens.
fn minified(json: &str) -> String {
    let mut in_string = false;
    let mut escaped = false;
    json.chars()
        .filter(|&c| {
            let kept = in_string || !c.is_ascii_whitespace();
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = in_string,
                '"' => in_string = !in_string,
                _ => {}
            }
            kept
        })
        .collect()
}

/// The members of an object in order, each with its JSON.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a policy document")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::policy::Grants;

    /// As ECR returns a policy: with white space.
    const THEIRS: &str = r#"{
      "Version" : "2008-10-17",
      "Id" : "a \"name\" ",
      "Statement" : [ {
        "Sid" : "new statement",
        "Effect" : "Allow",
        "Principal" : { "AWS" : "arn:aws:iam::123456789012:root" },
        "Action" : [ "ecr:PutImage", "ecr:BatchGetImage" ]
      }, {
        "Effect" : "Deny", "Principal" : "*", "Action" : "ecr:*", "Future" : 1.50
      } ]
    }"#;

    fn owner() -> Owner {
        Owner::new("stack", "Pull")
    }

    fn pull(owner: &Owner, account: &str) -> Vec<OwnedStatement> {
        let principals = crate::policy::Principals::always(vec![account.parse().unwrap()]);
        let grants = Grants {
            principals: vec![principals],
            ..Grants::default()
        };
        grants.statements(owner, "aws").unwrap()
    }

    #[test]
    fn keeps_what_others_wrote_token_by_token() {
        let theirs = Document::parse(THEIRS).unwrap();
        let own = pull(&owner(), "210987654321");
        let merged = theirs.with(&owner(), &own).to_string();
        let expected = r#"{"Version":"2008-10-17","Id":"a \"name\" ","Statement":[{"Sid":"new statement","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":["ecr:PutImage","ecr:BatchGetImage"]},{"Effect":"Deny","Principal":"*","Action":"ecr:*","Future":1.50},"#;
        assert!(merged.starts_with(expected), "{merged}");
        let read = Document::parse(&merged).unwrap();
        assert!(read.holds(&owner(), &own));
        assert_eq!(read.with(&owner(), &[]), theirs);
    }

    #[test]
    fn replaces_the_owners_statements_only() {
        let (one, two) = (owner(), Owner::new("other stack", "Pull"));
        let both = Document::default()
            .with(&one, &pull(&one, "111111111111"))
            .with(&two, &pull(&two, "222222222222"));
        let moved = both.with(&one, &pull(&one, "333333333333"));
        assert!(moved.holds(&two, &pull(&two, "222222222222")));
        assert!(moved.holds(&one, &pull(&one, "333333333333")));
        assert!(!moved.holds(&one, &pull(&one, "111111111111")));
        assert!(!moved.holds(&one, &[]));
        assert!(moved.with(&one, &[]).with(&two, &[]).is_empty());
    }

    #[test]
    fn reads_one_statement_that_stands_alone() {
        let text = r#"{"Statement":{"Sid":"A","Effect":"Allow"}}"#;
        let document = Document::parse(text).unwrap();
        assert!(!document.is_empty());
        assert!(!document.has_variables());
        assert_eq!(
            document.to_string(),
            r#"{"Statement":[{"Sid":"A","Effect":"Allow"}]}"#
        );
    }

    #[test]
    fn refuses_what_is_no_policy() {
        for text in [
            "",
            "[]",
            "null",
            "{",
            r#"{"Statement":[1]}"#,
            r#"{"Statement":"x"}"#,
        ] {
            assert!(Document::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_what_ecr_may_refuse() {
        let text = json!({"Statement": [
            {"Sid": "Old", "Effect": "Allow", "Principal": {"AWS": ["123456789012", "AROAEXAMPLE"]}},
            {"Sid": "No", "Effect": "Deny", "Principal": "*"},
        ]});
        let document = Document::parse(&text.to_string()).unwrap();
        let orphan = ("Old".to_owned(), "AROAEXAMPLE".to_owned());
        assert_eq!(document.orphans(), [orphan]);
        assert_eq!(document.denials(), ["No"]);
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            "[ -~ä☃]{0,12}".prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
        ]
    }

    fn statement() -> impl Strategy<Value = Value> {
        let any = scalar().prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ -~]{0,8}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        (
            prop::option::of("[A-Za-z0-9 ]{0,12}"),
            prop::collection::btree_map("[A-Z][a-z]{2,8}", any, 0..4),
        )
            .prop_map(|(sid, mut members)| {
                // A Sid of ECR's policies is a text.
                members.remove("Sid");
                let mut statement = Value::Object(members.into_iter().collect());
                if let Some(sid) = sid {
                    statement["Sid"] = sid.into();
                }
                statement
            })
    }

    proptest! {
        #[test]
        fn merging_and_withdrawing_leaves_what_others_wrote(
            statements in prop::collection::vec(statement(), 0..5),
            pretty: bool,
        ) {
            let value = json!({"Version": "2012-10-17", "Statement": statements});
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let theirs = Document::parse(&text).unwrap();
            let kept: Value = serde_json::from_str(&theirs.to_string()).unwrap();
            prop_assert_eq!(kept, value);

            let own = pull(&owner(), "210987654321");
            let merged = theirs.with(&owner(), &own);
            let read = Document::parse(&merged.to_string()).unwrap();
            prop_assert!(read.holds(&owner(), &own));
            prop_assert_eq!(read.with(&owner(), &own), merged);
            prop_assert_eq!(read.with(&owner(), &[]), theirs);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:a-zA-Z0-9 ]{0,64}") {
            let _ = Document::parse(&text);
        }
    }
}
