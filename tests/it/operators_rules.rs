//! The rules of the function's operator, in the function itself: what its environment forbids, no
//! event has it do.

use std::time::Duration;

use longshore::local::{Auth, AwsApiOptions, Environment, EnvironmentOptions, RegistryOptions};
use longshore::redact::Secret;
use serde_json::{Value, json};

use crate::support::{ECR, End, Function, PASSWORD};

const TIME: Duration = Duration::from_secs(30);
const REPOSITORY: &str = "example";
/// A rule: a variable of the function's environment.
type Rule<'a> = (&'static str, &'a str);

async fn environment() -> Environment {
    let environment = Environment::start(EnvironmentOptions {
        registry: RegistryOptions {
            auth: Auth::Basic {
                user: "robot".to_owned(),
                password: Secret::new(PASSWORD),
            },
            ..RegistryOptions::default()
        },
        aws: AwsApiOptions {
            secrets: [(
                "team/quay".to_owned(),
                Secret::new(format!("robot:{PASSWORD}")),
            )]
            .into(),
            ..AwsApiOptions::default()
        },
        ..EnvironmentOptions::default()
    });
    let environment = environment.await.expect("stand-ins");
    let created = environment.registry.create_repository(REPOSITORY).await;
    created.expect("a repository");
    environment
}

/// What the function returns for an event, if its environment has these rules.
async fn returned(
    environment: &Environment,
    rules: &[Rule<'_>],
    event: &Value,
) -> Result<Value, String> {
    let rules = rules
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    let variables = environment.variables().into_iter().chain(rules);
    let mut function = Function::start(variables).await;
    match function.invoke(event, TIME).await {
        End::Returned(value) => Ok(value),
        End::Failed(error) => Err(error["errorMessage"].to_string()),
        other => panic!("{other:?}"),
    }
}

fn policy(request: &str, action: &str) -> Value {
    let mut event = json!({
        "RequestType": request,
        "RequestId": "request",
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/example/1",
        "ResourceType": "Custom::ECRPullPolicy",
        "LogicalResourceId": "Pull",
        "ResourceProperties": {
            "Repository": format!("{ECR}/{REPOSITORY}"),
            "Principals": ["210987654321"],
            "Actions": [action],
        },
    });
    if request == "Update" {
        event["PhysicalResourceId"] = json!("pull-policy");
        event["OldResourceProperties"] = event["ResourceProperties"].clone();
    }
    event
}

#[tokio::test]
async fn a_stack_grants_no_more_than_pulling_unless_the_operator_lets_it() {
    let environment = environment().await;
    let any = ("LONGSHORE_POLICY_STATEMENTS", "any");
    let wide = policy("Create", "ecr:*");
    for rules in [&[][..], &[("LONGSHORE_POLICY_STATEMENTS", "pull")]] {
        let told = returned(&environment, rules, &wide).await.unwrap_err();
        assert!(told.contains("is more than pulling"), "{told}");
    }
    returned(&environment, &[], &policy("Create", "ecr:BatchGetImage"))
        .await
        .unwrap();
    returned(&environment, &[any], &wide).await.unwrap();
}

#[tokio::test]
async fn a_rollback_to_what_was_granted_before_the_rule_succeeds() {
    let environment = environment().await;
    let any = ("LONGSHORE_POLICY_STATEMENTS", "any");
    returned(&environment, &[any], &policy("Create", "ecr:*"))
        .await
        .unwrap();
    // The update is refused, and CloudFormation rolls back to what there is.
    let other = policy("Update", "ecr:PutImage");
    let told = returned(&environment, &[], &other).await.unwrap_err();
    assert!(told.contains("is more than pulling"), "{told}");
    let before = environment.aws.calls().len();
    returned(&environment, &[], &policy("Update", "ecr:*"))
        .await
        .unwrap();
    let calls = environment.aws.calls().split_off(before);
    assert!(
        calls
            .iter()
            .all(|call| call.action == "ecr:GetRepositoryPolicy"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_secret_goes_to_the_registries_that_the_operator_names() {
    let environment = environment().await;
    let registry = environment.registry.address();
    let event = |secret: &str| {
        json!({
            "RequestType": "Create",
            "ResourceType": "Custom::ECRImage",
            "LogicalResourceId": "Image",
            "ResourceProperties": {
                "Source": format!("{registry}/{REPOSITORY}:1"),
                "SourceCredentials": secret,
                "Destination": format!("{ECR}/{REPOSITORY}:1"),
                "Retry": "1",
            },
        })
    };
    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:team/quay-AbCdEf";
    let by_arn = format!("{arn}=quay.io");
    let by_partial_arn = by_arn.replace("-AbCdEf", "");
    for rule in [
        "team/quay=quay.io",
        "*=quay.io,team/*=*.quay.io",
        &by_arn,
        &by_partial_arn,
    ] {
        for secret in ["team/quay", arn] {
            let rules = [("LONGSHORE_SECRET_REGISTRIES", rule)];
            let told = returned(&environment, &rules, &event(secret)).await;
            let told = told.unwrap_err();
            assert!(told.contains("SecretRegistries"), "{told}");
            assert!(told.contains(&registry.to_string()), "{told}");
        }
    }
    let rules = [("LONGSHORE_SECRET_REGISTRIES", "team/quay=127.0.0.1:*")];
    let told = returned(&environment, &rules, &event(arn))
        .await
        .unwrap_err();
    assert!(told.contains("there is no image"), "{told}");
}

#[tokio::test]
async fn rules_that_cannot_be_read_forbid_everything() {
    let environment = environment().await;
    for (name, value) in [
        ("LONGSHORE_SECRET_REGISTRIES", "team/quay"),
        ("LONGSHORE_SOURCE_REGISTRIES", "https://quay.io/"),
        ("LONGSHORE_DESTINATION_REGISTRIES", "a b"),
        ("LONGSHORE_TOKEN_REALMS", "quay.io"),
    ] {
        let event = policy("Create", "ecr:BatchGetImage");
        let told = returned(&environment, &[(name, value)], &event).await;
        let told = told.unwrap_err();
        assert!(told.contains("The function is not set up"), "{told}");
        assert!(told.contains(name), "{told}");
    }
}
