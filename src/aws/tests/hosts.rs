//! Which hosts are called, for every way in which registries and buckets are named.

use std::sync::{Arc, Mutex};

use aws_config::Region;
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;

use crate::aws::{
    Clients, EcrCredentials, EcrHost, Location, PublicCredentials, Role, SecretCredentials, config,
    open_object,
};
use crate::registry::CredentialProvider;

/// Notes what is called, and answers nothing.
#[derive(Clone, Debug, Default)]
struct Called(Arc<Mutex<Vec<String>>>);

impl HttpConnector for Called {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let url: reqwest::Url = request.uri().parse().unwrap();
        let host = url.host_str().unwrap_or_default().to_owned();
        self.0.lock().unwrap().push(host);
        HttpConnectorFuture::ready(Err(ConnectorError::user("not here".into())))
    }
}

impl Called {
    async fn clients(&self, fips: bool, dual_stack: bool) -> Clients {
        let connector = SharedHttpConnector::new(self.clone());
        let config = config::loader()
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .credentials_provider(Credentials::new("a", "b", None, None, "test"))
            .region(Region::from_static("eu-west-1"))
            .use_fips(fips)
            .use_dual_stack(dual_stack)
            .load()
            .await;
        Clients::new(config, None)
    }

    fn last(&self) -> String {
        self.0.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

#[tokio::test]
async fn the_api_of_a_registry_is_the_one_like_its_host() {
    for (host, api) in [
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "api.ecr.eu-west-1.amazonaws.com",
        ),
        (
            "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
            "api.ecr-fips.us-east-1.amazonaws.com",
        ),
        (
            "123456789012.dkr-ecr.us-west-2.on.aws",
            "ecr.us-west-2.api.aws",
        ),
        (
            "123456789012.dkr-ecr-fips.us-west-2.on.aws",
            "ecr-fips.us-west-2.api.aws",
        ),
        (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "api.ecr.cn-north-1.amazonaws.com.cn",
        ),
        (
            "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com",
            "api.ecr.us-gov-west-1.amazonaws.com",
        ),
        (
            "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "api.ecr-fips.us-gov-west-1.amazonaws.com",
        ),
        (
            "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
            "api.ecr.us-isob-east-1.sc2s.sgov.gov",
        ),
        (
            "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
            "api.ecr.eusc-de-east-1.amazonaws.eu",
        ),
        (
            "vpce-0a-b.dkr.ecr.eu-west-1.vpce.amazonaws.com",
            "api.ecr.eu-west-1.amazonaws.com",
        ),
    ] {
        let called = Called::default();
        let clients = called.clients(false, false).await;
        let Some(EcrHost::Private(private)) = EcrHost::parse(host) else {
            panic!("{host}");
        };
        EcrCredentials::new(&clients, &private)
            .credentials(host)
            .await
            .unwrap_err();
        assert_eq!(called.last(), api, "{host}");
    }
}

#[tokio::test]
async fn the_environment_asks_for_fips_and_dual_stack_of_every_registry() {
    let called = Called::default();
    let clients = called.clients(true, true).await;
    let host = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
    let Some(EcrHost::Private(private)) = EcrHost::parse(host) else {
        panic!("{host}");
    };
    EcrCredentials::new(&clients, &private)
        .credentials(host)
        .await
        .unwrap_err();
    assert_eq!(called.last(), "ecr-fips.us-east-1.api.aws");
}

#[tokio::test]
async fn ecr_public_is_asked_in_its_only_region() {
    let called = Called::default();
    let clients = called.clients(false, false).await;
    PublicCredentials::for_push(&clients)
        .credentials("")
        .await
        .unwrap_err();
    assert_eq!(called.last(), "api.ecr-public.us-east-1.amazonaws.com");
}

const PLAIN: (bool, bool) = (false, false);
const FIPS: (bool, bool) = (true, false);
const DUAL_STACK: (bool, bool) = (false, true);

/// Each as the endpoint rules of the service's own client have it.
#[tokio::test]
async fn other_services_are_asked_at_their_hosts() {
    let secret = |region: &str| format!("arn:aws:secretsmanager:{region}:1:secret:pull-AbCdEf");
    for (region, (fips, dual_stack), host) in [
        ("eu-west-1", PLAIN, "secretsmanager.eu-west-1.amazonaws.com"),
        (
            "us-east-2",
            FIPS,
            "secretsmanager-fips.us-east-2.amazonaws.com",
        ),
        (
            "us-gov-west-1",
            FIPS,
            "secretsmanager-fips.us-gov-west-1.amazonaws.com",
        ),
        (
            "us-east-1",
            DUAL_STACK,
            "secretsmanager.us-east-1.amazonaws.com",
        ),
        (
            "cn-north-1",
            PLAIN,
            "secretsmanager.cn-north-1.amazonaws.com.cn",
        ),
    ] {
        let called = Called::default();
        let clients = called.clients(fips, dual_stack).await;
        let provider = SecretCredentials::new(&clients, secret(region));
        provider.credentials("quay.io").await.unwrap_err();
        assert_eq!(called.last(), host);
    }
    let function = |region: &str| format!("arn:aws:lambda:{region}:1:function:images");
    for (region, (fips, dual_stack), host) in [
        ("eu-west-1", PLAIN, "lambda.eu-west-1.amazonaws.com"),
        (
            "us-gov-west-1",
            FIPS,
            "lambda-fips.us-gov-west-1.amazonaws.com",
        ),
        ("eu-west-1", DUAL_STACK, "lambda.eu-west-1.api.aws"),
        (
            "cn-north-1",
            DUAL_STACK,
            "lambda.cn-north-1.api.amazonwebservices.com.cn",
        ),
        ("us-iso-east-1", PLAIN, "lambda.us-iso-east-1.c2s.ic.gov"),
    ] {
        let called = Called::default();
        let clients = called.clients(fips, dual_stack).await;
        let function = function(region);
        let invoked = clients.invoke_later(&function, "{}".to_owned());
        invoked.await.unwrap_err();
        assert_eq!(called.last(), host);
    }
    let machine = |region: &str| format!("arn:aws:states:{region}:1:stateMachine:mirror");
    for (region, (fips, dual_stack), host) in [
        ("us-east-1", FIPS, "states-fips.us-east-1.amazonaws.com"),
        ("us-gov-west-1", FIPS, "states.us-gov-west-1.amazonaws.com"),
        ("eu-west-1", DUAL_STACK, "states.eu-west-1.api.aws"),
    ] {
        let called = Called::default();
        let clients = called.clients(fips, dual_stack).await;
        let machine = machine(region);
        let started = clients.start_execution(&machine, "a", "{}");
        started.await.unwrap_err();
        assert_eq!(called.last(), host);
    }
}

#[tokio::test]
async fn an_arn_names_no_host() {
    for region in ["", "evil.example/", "eu-west-1.evil.example#", "Eu-West-1"] {
        let called = Called::default();
        let clients = called.clients(false, false).await;
        let secret = format!("arn:aws:secretsmanager:{region}:1:secret:pull-AbCdEf");
        let provider = SecretCredentials::new(&clients, secret);
        let error = provider.credentials("quay.io").await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, format!("{region:?} is no region"));
        assert_eq!(called.last(), "");
    }
}

#[tokio::test]
async fn buckets_are_asked_by_name_alias_and_arn() {
    let arn = "arn:aws:s3:eu-west-3:123456789012:accesspoint/images";
    let alias = "images-abcdefghijklmnop-s3alias";
    for (bucket, region, fips, host) in [
        ("bucket", None, false, "bucket.s3.eu-west-1.amazonaws.com"),
        (
            "bucket",
            Some("cn-north-1"),
            false,
            "bucket.s3.cn-north-1.amazonaws.com.cn",
        ),
        (
            "bucket",
            Some("us-east-1"),
            true,
            "bucket.s3-fips.us-east-1.amazonaws.com",
        ),
        (
            alias,
            None,
            false,
            "images-abcdefghijklmnop-s3alias.s3.eu-west-1.amazonaws.com",
        ),
        (
            arn,
            None,
            false,
            "images-123456789012.s3-accesspoint.eu-west-3.amazonaws.com",
        ),
    ] {
        let called = Called::default();
        let clients = called.clients(fips, false).await;
        let location = Location {
            bucket: bucket.to_owned(),
            key: "k".to_owned(),
            version_id: None,
            region: region.map(str::to_owned),
        };
        open_object(&clients, location).await.err().unwrap();
        assert_eq!(called.last(), host, "{bucket}");
    }
}

#[tokio::test]
async fn a_role_is_taken_on_in_the_callers_region() {
    let called = Called::default();
    let role = Role::new("arn:aws:iam::210987654321:role/r", None, "s/i");
    let clients = called.clients(false, false).await.assume(&role).await;
    let provider = PublicCredentials::for_push(&clients);
    let error = provider.credentials("").await.unwrap_err();
    assert_eq!(called.last(), "sts.eu-west-1.amazonaws.com");
    assert_eq!(
        error.to_string(),
        "assuming role arn:aws:iam::210987654321:role/r for logging in to ECR Public failed: STS in \
         eu-west-1 was not reached; a function in a VPC needs a way to it, such as the endpoint \
         com.amazonaws.eu-west-1.sts"
    );
}
