//! Services of AWS that may pull, and on whose behalf.

use serde_json::{Map, Value};

use super::action::PULL_ACTIONS;
use super::{AccountId, InvalidGrant};

/// The actions that AWS documents for Lambda
/// ([Lambda, "Amazon ECR cross-account permissions"](https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#configuration-images-xaccount-permissions)).
const LAMBDA_ACTIONS: [&str; 2] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];

/// A service of AWS, and the resources and accounts on whose behalf it may pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    name: String,
    source_arns: Vec<String>,
    source_accounts: Vec<AccountId>,
}

impl Service {
    /// The service `name`, such as `lambda.amazonaws.com`, on behalf of the resources
    /// `source_arns` (with `*` and `?` as wildcards) in the `source_accounts`. Where one is empty,
    /// it does not restrict.
    ///
    /// # Errors
    ///
    /// A malformed name or ARN.
    pub fn new(
        name: &str,
        source_arns: Vec<String>,
        source_accounts: Vec<AccountId>,
    ) -> Result<Self, InvalidGrant> {
        if !is_service_name(name) {
            return Err(InvalidGrant::Service(name.to_owned()));
        }
        if let Some(arn) = source_arns.iter().find(|arn| !is_source_arn(arn)) {
            return Err(InvalidGrant::SourceArn(arn.clone()));
        }
        Ok(Self {
            name: name.to_owned(),
            source_arns,
            source_accounts,
        })
    }

    /// The service principal.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The name that people read: `lambda`.
    pub(super) fn label(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }

    /// The actions that it needs for a pull, as AWS documents them.
    pub(super) fn pull_actions(&self) -> &'static [&'static str] {
        match self.label() {
            "lambda" => &LAMBDA_ACTIONS,
            _ => &PULL_ACTIONS,
        }
    }

    /// The statement's `Condition`: AWS's documented ones compare Lambda's functions, which have
    /// wildcards, by `StringLike`, and CodeBuild's projects and accounts by `StringEquals`.
    pub(super) fn condition(&self) -> Map<String, Value> {
        let mut equals = Map::new();
        let mut like = Map::new();
        if !self.source_arns.is_empty() {
            let has_wildcard = |arn: &String| arn.contains(['*', '?']);
            let patterns = self.label() == "lambda" || self.source_arns.iter().any(has_wildcard);
            let block = if patterns { &mut like } else { &mut equals };
            block.insert("aws:SourceArn".into(), self.source_arns.clone().into());
        }
        if !self.source_accounts.is_empty() {
            let accounts = self.source_accounts.iter().map(AccountId::as_str);
            let accounts: Vec<&str> = accounts.collect();
            equals.insert("aws:SourceAccount".into(), accounts.into());
        }
        let blocks = [("StringEquals", equals), ("StringLike", like)];
        let used = blocks.into_iter().filter(|(_, block)| !block.is_empty());
        used.map(|(operator, block)| (operator.to_owned(), block.into()))
            .collect()
    }
}

/// `<service>.<domain>`, as every service principal is.
fn is_service_name(text: &str) -> bool {
    let part = |part: &str| {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !part.is_empty() && part.bytes().all(known)
    };
    text.split('.').count() > 2 && text.split('.').all(part)
}

fn is_source_arn(text: &str) -> bool {
    let named = |part: Option<&str>| part.is_some_and(|part| !part.is_empty());
    let mut parts = text.splitn(6, ':');
    parts.next() == Some("arn")
        && named(parts.next())
        && named(parts.next())
        && named(parts.nth(2))
        && !text.contains(char::is_whitespace)
}
