//! Answers with status 200 that lack what ECR always sends: a proxy's, or those of a broken
//! endpoint. None of them is a success.

use axum::http::StatusCode;
use serde_json::json;

use super::{HOST, host};
use crate::aws::ecr::{EcrPolicy, EcrRepository, RepositorySettings};
use crate::aws::stand_in::{Seen, StandIn, json, json_error};
use crate::oci::Digest;
use crate::policy::PolicyStore;

/// Answers `{}`, except to requests of the operation `missing`: nothing is there.
async fn repository(missing: &'static str, code: &'static str) -> (StandIn, EcrRepository) {
    let answer = move |request: &Seen| {
        if request.operation() == missing {
            return json_error(400, code, "none");
        }
        json(StatusCode::OK, &json!({}))
    };
    let ecr = StandIn::start(answer).await;
    let repository = EcrRepository::new(&ecr.clients().await, &host(HOST), "app");
    (ecr, repository)
}

fn assert_incomplete<T, E>(told: Result<T, E>, expected: &str)
where
    T: std::fmt::Debug,
    E: std::error::Error,
{
    let error = told.unwrap_err().to_string();
    let expected = format!("failed: expected {expected} in the answer");
    assert!(error.contains(&expected), "{error}");
}

#[tokio::test]
async fn nothing_is_told_of_a_repository() {
    let (_ecr, app) = repository("", "").await;
    assert_incomplete(app.exists().await, "a repository");
    assert_incomplete(app.uri().await, "a repository");
    let settings = RepositorySettings::default();
    assert_incomplete(app.ensure(&settings).await, "a repository");
}

#[tokio::test]
async fn nothing_is_told_of_a_creation() {
    let (ecr, app) = repository("DescribeRepositories", "RepositoryNotFoundException").await;
    let settings = RepositorySettings::default();
    let ensured = app.ensure(&settings).await;
    assert_incomplete(ensured, "the repository that was created");
    assert_eq!(ecr.seen().len(), 2);
}

#[tokio::test]
async fn nothing_is_told_of_an_image() {
    let (_ecr, app) = repository("", "").await;
    let digest = Digest::sha256(b"image");
    assert_incomplete(app.image_tags(&digest).await, "an image");
    let expected = "the image that was deleted";
    assert_incomplete(app.delete_image(&digest).await, expected);
    let tag = "1".parse().unwrap();
    assert_incomplete(app.delete_tag(&tag).await, expected);
}

#[tokio::test]
async fn nothing_is_told_of_a_policy() {
    let (_ecr, app) = repository("", "").await;
    let policy = EcrPolicy::new(app);
    let expected = "the text of the policy";
    assert_incomplete(policy.get().await, expected);
    assert_incomplete(policy.set("{}", false).await, expected);
    assert_incomplete(policy.delete().await, expected);
}
