//! Tests of the tokens and repositories of ECR.

mod create;
mod empty_answers;
mod repository;
mod tokens;

use crate::aws::{EcrHost, PrivateHost};

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

fn host(text: &str) -> PrivateHost {
    match EcrHost::parse(text) {
        Some(EcrHost::Private(host)) => host,
        other => panic!("{text}: {other:?}"),
    }
}
