//! The embedded AWS API, through AWS's own clients.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::types::{ImageFailureCode, ImageIdentifier, ImageTagMutability};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore::local::{
    AwsApiOptions, BucketOptions, Environment, EnvironmentOptions, Fault, Mounts, RegistryOptions,
};
use longshore::redact::Secret;
use serde_json::{Value, json};

use super::{Api, OCI_INDEX, OCI_MANIFEST, layer};

async fn environment() -> Environment {
    let options = EnvironmentOptions {
        registry: RegistryOptions {
            mounts: Mounts::Any,
            manifests_per_second: None,
            ..RegistryOptions::ecr(Secret::new("right"))
        },
        aws: AwsApiOptions {
            secrets: BTreeMap::from([("hub".to_owned(), Secret::new("me:pass"))]),
            roles: BTreeMap::from([(ROLE.to_owned(), Some("external".to_owned()))]),
            ..AwsApiOptions::default()
        },
        ..EnvironmentOptions::default()
    };
    Environment::start(options).await.unwrap()
}

const ROLE: &str = "arn:aws:iam::210987654321:role/Copier";

async fn config(environment: &Environment, key_id: &str) -> SdkConfig {
    let variables = environment.variables();
    let secret = &variables["AWS_SECRET_ACCESS_KEY"];
    let credentials = aws_sdk_ecr::config::Credentials::new(key_id, secret, None, None, "test");
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(&variables["AWS_ENDPOINT_URL"])
        .credentials_provider(credentials)
        .load()
        .await
}

async fn ecr(environment: &Environment) -> aws_sdk_ecr::Client {
    aws_sdk_ecr::Client::new(&config(environment, "AKIALOCAL").await)
}

/// The registry's API with ECR's password.
fn api(environment: &Environment) -> Api {
    let mut api = Api::new(&environment.registry);
    api.user = Some(("AWS".to_owned(), "right".to_owned()));
    api
}

/// The code of a failed call.
fn code<T: std::fmt::Debug, E: ProvideErrorMetadata, R>(
    result: Result<T, SdkError<E, R>>,
) -> String {
    match result.unwrap_err() {
        SdkError::ServiceError(error) => error.err().code().unwrap_or_default().to_owned(),
        _ => "no answer".to_owned(),
    }
}

#[tokio::test]
async fn gives_the_registrys_password() {
    let environment = environment().await;
    let output = ecr(&environment)
        .await
        .get_authorization_token()
        .send()
        .await
        .unwrap();
    let data = &output.authorization_data()[0];
    let token = STANDARD
        .decode(data.authorization_token().unwrap())
        .unwrap();
    assert_eq!(token, b"AWS:right");
    assert_eq!(
        data.proxy_endpoint(),
        Some("https://123456789012.dkr.ecr.eu-west-1.amazonaws.com")
    );
    let calls = environment.aws.calls();
    assert_eq!(calls[0].action, "ecr:GetAuthorizationToken");
    assert_eq!(
        (calls[0].region.as_str(), calls[0].account.as_str()),
        ("eu-west-1", "123456789012")
    );
    assert_eq!(
        environment.aws.requests()[0].path,
        "/ecr/GetAuthorizationToken"
    );
}

#[tokio::test]
async fn an_expired_password_is_replaced() {
    let environment = environment().await;
    environment.registry.expire_credentials();
    let stale = api(&environment).get("").await;
    assert_eq!(stale.status.as_u16(), 403);
    assert_eq!(stale.error_code(), "DENIED");
    let output = ecr(&environment).await.get_authorization_token().send();
    let output = output.await.unwrap();
    let token = output.authorization_data()[0]
        .authorization_token()
        .unwrap();
    let token = String::from_utf8(STANDARD.decode(token).unwrap()).unwrap();
    let (user, password) = token.split_once(':').unwrap();
    let mut api = Api::new(&environment.registry);
    api.user = Some((user.to_owned(), password.to_owned()));
    assert_eq!(api.get("").await.status.as_u16(), 200);
}

#[tokio::test]
async fn repositories_are_those_of_the_registry() {
    let environment = environment().await;
    let ecr = ecr(&environment).await;
    let describe = || {
        ecr.describe_repositories()
            .repository_names("team/app")
            .send()
    };
    assert_eq!(code(describe().await), "RepositoryNotFoundException");
    let create = || {
        let create = ecr.create_repository().repository_name("team/app");
        create
            .image_tag_mutability(ImageTagMutability::Immutable)
            .send()
    };
    let created = create().await.unwrap().repository.unwrap();
    assert_eq!(
        created.repository_uri(),
        Some("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app")
    );
    assert_eq!(code(create().await), "RepositoryAlreadyExistsException");
    let described = describe().await.unwrap();
    let described = &described.repositories()[0];
    assert_eq!(
        described.image_tag_mutability(),
        Some(&ImageTagMutability::Immutable)
    );

    let api = api(&environment);
    let image = api.push_image("team/app", "1.0", &[]).await;
    let again = api
        .put_manifest("team/app", "1.0", OCI_MANIFEST, &image.bytes)
        .await;
    assert_eq!(again.error_code(), "TAG_INVALID");

    let delete = |force| {
        ecr.delete_repository()
            .repository_name("team/app")
            .force(force)
            .send()
    };
    assert_eq!(code(delete(false).await), "RepositoryNotEmptyException");
    delete(true).await.unwrap();
    assert_eq!(code(describe().await), "RepositoryNotFoundException");
}

#[tokio::test]
async fn policies_are_kept() {
    let environment = environment().await;
    environment.registry.create_repository("app").await.unwrap();
    let ecr = ecr(&environment).await;
    let get = || ecr.get_repository_policy().repository_name("app").send();
    assert_eq!(code(get().await), "RepositoryPolicyNotFoundException");
    let principal = "arn:aws:iam::210987654321:role/Fresh";
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{"Sid": "a", "Effect": "Allow", "Principal": {"AWS": principal}, "Action": "ecr:BatchGetImage"}],
    });
    let set = |text: String| {
        ecr.set_repository_policy()
            .repository_name("app")
            .policy_text(text)
            .send()
    };
    environment.aws.hide_principal(principal, 1);
    assert_eq!(
        code(set(policy.to_string()).await),
        "InvalidParameterException"
    );
    set(policy.to_string()).await.unwrap();
    let text = get().await.unwrap().policy_text.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), policy);
    assert_eq!(
        code(set("x".repeat(10_241)).await),
        "InvalidParameterException"
    );
    assert_eq!(code(set("{".to_owned()).await), "InvalidParameterException");
    ecr.delete_repository_policy()
        .repository_name("app")
        .send()
        .await
        .unwrap();
    assert_eq!(code(get().await), "RepositoryPolicyNotFoundException");
}

#[tokio::test]
async fn images_are_those_of_the_registry() {
    let environment = environment().await;
    environment.registry.create_repository("app").await.unwrap();
    let api = api(&environment);
    let child = api.push_image("app", "1.0", &[]).await;
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [layer(&child.digest, OCI_MANIFEST)]});
    let index = api
        .put_manifest("app", "all", OCI_INDEX, index.to_string().as_bytes())
        .await;
    let index = index.header("docker-content-digest").to_owned();
    let ecr = ecr(&environment).await;
    let tagged = |tag: &str| ImageIdentifier::builder().image_tag(tag).build();
    let by_digest = |digest: &str| ImageIdentifier::builder().image_digest(digest).build();

    let get = ecr.batch_get_image().repository_name("app");
    let get = get
        .image_ids(tagged("1.0"))
        .image_ids(tagged("2.0"))
        .send()
        .await
        .unwrap();
    let image = &get.images()[0];
    assert_eq!(image.image_manifest().unwrap().as_bytes(), child.bytes);
    assert_eq!(image.image_manifest_media_type(), Some(OCI_MANIFEST));
    assert_eq!(
        get.failures()[0].failure_code(),
        Some(&ImageFailureCode::ImageNotFound)
    );

    let describe = ecr
        .describe_images()
        .repository_name("app")
        .send()
        .await
        .unwrap();
    assert_eq!(describe.image_details().len(), 2);
    let missing = ecr
        .describe_images()
        .repository_name("app")
        .image_ids(tagged("2.0"));
    assert_eq!(code(missing.send().await), "ImageNotFoundException");

    let delete = |id| {
        ecr.batch_delete_image()
            .repository_name("app")
            .image_ids(id)
            .send()
    };
    let refused = delete(by_digest(&child.digest.to_string())).await.unwrap();
    let failure = refused.failures()[0].failure_code();
    assert_eq!(
        failure,
        Some(&ImageFailureCode::ImageReferencedByManifestList)
    );
    assert!(
        delete(by_digest(&index))
            .await
            .unwrap()
            .failures()
            .is_empty()
    );
    assert!(delete(tagged("1.0")).await.unwrap().failures().is_empty());
    assert_eq!(api.get("app/tags/list").await.json()["tags"], json!([]));
    assert!(
        ecr.list_images()
            .repository_name("app")
            .send()
            .await
            .unwrap()
            .image_ids()
            .is_empty()
    );
}

#[tokio::test]
async fn secrets_and_roles() {
    let environment = environment().await;
    let secrets = aws_sdk_secretsmanager::Client::new(&config(&environment, "AKIALOCAL").await);
    let get = |id: &str| secrets.get_secret_value().secret_id(id).send();
    assert_eq!(get("hub").await.unwrap().secret_string(), Some("me:pass"));
    assert_eq!(code(get("other").await), "ResourceNotFoundException");

    let config_here = config(&environment, "AKIALOCAL").await;
    let assume = |external: &'static str| {
        let role = AssumeRoleProvider::builder(ROLE).external_id(external);
        let role = role.session_name("longshore").configure(&config_here);
        async { role.build().await.provide_credentials().await }
    };
    environment
        .aws
        .faults()
        .add(Fault::answer(403).on("POST", "/sts"));
    assert!(assume("external").await.is_err());
    assert!(assume("wrong").await.is_err());
    let credentials = assume("external").await.unwrap();
    let ecr = aws_sdk_ecr::Client::new(&config(&environment, credentials.access_key_id()).await);
    let token = ecr.get_authorization_token().send().await.unwrap();
    assert_eq!(
        token.authorization_data()[0].proxy_endpoint(),
        Some("https://210987654321.dkr.ecr.eu-west-1.amazonaws.com")
    );
}

#[tokio::test]
async fn invocations_are_noted() {
    let environment = environment().await;
    let url = environment.aws.base_url() + "/2015-03-31/functions/copier%3Alive/invocations";
    let invoke = |body: &'static str| {
        let scope = "Credential=AKIALOCAL/20261123/eu-west-1/lambda/aws4_request";
        let invoke = reqwest::Client::new().post(&url).body(body);
        invoke.header(
            "authorization",
            format!("AWS4-HMAC-SHA256 {scope}, Signature=0a"),
        )
    };
    let event = invoke("{\"a\":1}").header("x-amz-invocation-type", "Event");
    assert_eq!(event.send().await.unwrap().status().as_u16(), 202);
    assert_eq!(invoke("{}").send().await.unwrap().status().as_u16(), 200);
    let invocation = environment
        .aws
        .next_invocation(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(invocation.function, "copier:live");
    assert_eq!(invocation.payload, "{\"a\":1}");
    assert!(invocation.asynchronous);
    assert!(!environment.aws.invocations()[1].asynchronous);
    assert_eq!(environment.aws.calls()[0].action, "lambda:InvokeFunction");
}

#[tokio::test]
async fn unknown_operations_and_faults_are_aws_errors() {
    let environment = environment().await;
    let ecr = ecr(&environment).await;
    assert_eq!(
        code(ecr.describe_registry().send().await),
        "UnknownOperationException"
    );
    let denied = Fault::answer(400).on("POST", "/ecr/GetAuthorizationToken");
    let denied = denied.saying("AccessDeniedException", "User is not authorized");
    environment.aws.faults().add(denied);
    let token = ecr.get_authorization_token().send().await;
    assert_eq!(code(token), "AccessDeniedException");
}

#[tokio::test]
async fn variables_lead_to_the_stand_ins() {
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment::start(EnvironmentOptions {
        bucket: BucketOptions::folder("stage", folder.path()),
        ..EnvironmentOptions::default()
    })
    .await
    .unwrap();
    let variables = environment.variables();
    assert_eq!(
        variables["AWS_ENDPOINT_URL_S3"],
        environment.bucket.base_url()
    );
    assert_eq!(
        variables["LONGSHORE_REGISTRY_OVERRIDE"],
        format!(
            "*.dkr.ecr.*.amazonaws.com={}",
            environment.registry.base_url()
        )
    );
    environment.stop().await;
}
