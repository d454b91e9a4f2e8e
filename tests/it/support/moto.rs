//! AWS's APIs, as `moto` imitates them: S3, ECR, Secrets Manager, STS.

use std::process::Command;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::process::{Server, tool};

pub(crate) const REGION: &str = "eu-west-1";

/// The access key of whoever has none of a role.
const OWN_KEY: &str = "TEST";

/// An empty AWS account, number 123456789012.
pub(crate) struct Moto {
    server: Server,
}

impl Moto {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// An account whose state machines call other services on this port of localhost.
    pub(crate) fn behind(port: u16) -> Self {
        Self::start_with(|command| {
            command.env("MOTO_PORT", port.to_string());
        })
    }

    fn start_with(settings: impl FnOnce(&mut Command)) -> Self {
        let server = Server::start("moto_server", |address, _| {
            let mut command = Command::new(tool("venv/bin/moto_server"));
            command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
            settings(&mut command);
            command
        });
        Self { server }
    }

    /// Its origin, fit for `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Every request so far, one line each.
    pub(crate) fn log(&self) -> String {
        self.server.log()
    }

    pub(crate) async fn create_bucket(&self, bucket: &str) {
        let body = format!(
            "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint>\
             </CreateBucketConfiguration>"
        );
        succeed(
            self.request("s3", Method::PUT, &format!("/{bucket}"))
                .body(body),
        )
        .await;
    }

    pub(crate) async fn put_object(&self, bucket: &str, key: &str, body: Vec<u8>) {
        succeed(
            self.request("s3", Method::PUT, &format!("/{bucket}/{key}"))
                .body(body),
        )
        .await;
    }

    /// The content type and the content of an object.
    pub(crate) async fn object(&self, bucket: &str, key: &str) -> (String, Vec<u8>) {
        let request = self.request("s3", Method::GET, &format!("/{bucket}/{key}"));
        let response = request.send().await.expect("an answer of moto");
        let response = response.error_for_status().expect("an object");
        let content_type = response.headers()["content-type"].to_str();
        let content_type = content_type.expect("a content type").to_owned();
        let body = response.bytes().await.expect("the body of an object");
        (content_type, body.to_vec())
    }

    pub(crate) async fn delete_object(&self, bucket: &str, key: &str) {
        succeed(self.request("s3", Method::DELETE, &format!("/{bucket}/{key}"))).await;
    }

    /// Lets a program use the account.
    pub(crate) fn environment(&self, command: &mut Command) {
        command
            .env("AWS_ENDPOINT_URL", self.url())
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_EC2_METADATA_DISABLED", "true");
    }

    /// Calls an operation of ECR and returns its answer.
    pub(crate) async fn ecr(&self, operation: &str, body: Value) -> Value {
        let answer = self.try_ecr(operation, body).await;
        answer.unwrap_or_else(|refusal| panic!("{operation}: {refusal}"))
    }

    /// Calls an operation of ECR and returns its answer, or its refusal.
    pub(crate) async fn try_ecr(&self, operation: &str, body: Value) -> Result<Value, Value> {
        self.ecr_as(OWN_KEY, REGION, operation, body).await
    }

    /// The same in the account of an access key, and in any region.
    pub(crate) async fn ecr_as(
        &self,
        key: &str,
        region: &str,
        operation: &str,
        body: Value,
    ) -> Result<Value, Value> {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
        self.call_as(key, region, "ecr", &target, body).await
    }

    /// Calls an operation of Step Functions and returns its answer.
    pub(crate) async fn states(&self, operation: &str, body: Value) -> Value {
        let target = format!("AWSStepFunctions.{operation}");
        let answer = self.call_as(OWN_KEY, REGION, "states", &target, body).await;
        answer.unwrap_or_else(|refusal| panic!("{operation}: {refusal}"))
    }

    /// Has state machines run, which moto otherwise only keeps.
    pub(crate) async fn run_state_machines(&self) {
        let settings = r#"{"stepfunctions": {"execute_state_machine": true}}"#;
        let request = reqwest::Client::new().post(format!("{}/moto-api/config", self.url()));
        succeed(
            request
                .header("content-type", "application/json")
                .body(settings),
        )
        .await;
    }

    /// Creates a topic of SNS, and returns its ARN.
    pub(crate) async fn create_topic(&self, name: &str) -> String {
        let form = format!("Action=CreateTopic&Version=2010-03-31&Name={name}");
        let request = self
            .request("sns", Method::POST, "/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer = String::from_utf8(succeed(request).await).expect("SNS answers XML");
        let mut parts = answer.split(['<', '>']);
        parts.find(|part| *part == "TopicArn");
        parts.next().expect("the ARN of a topic").to_owned()
    }

    async fn call_as(
        &self,
        key: &str,
        region: &str,
        service: &str,
        target: &str,
        body: Value,
    ) -> Result<Value, Value> {
        let request = self
            .request_as(key, region, service, Method::POST, "/")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .body(body.to_string());
        let response = request.send().await.expect("an answer of moto");
        let succeeded = response.status().is_success();
        let body = response.bytes().await.expect("the body of moto's answer");
        let answer = serde_json::from_slice(&body).expect("an answer in JSON");
        if succeeded { Ok(answer) } else { Err(answer) }
    }

    /// The access key of a role's session.
    pub(crate) async fn assume(&self, role: &str) -> String {
        let form =
            format!("Action=AssumeRole&Version=2011-06-15&RoleSessionName=test&RoleArn={role}");
        let request = self
            .request("sts", Method::POST, "/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer = String::from_utf8(succeed(request).await).expect("STS answers XML");
        let mut parts = answer.split(['<', '>']);
        parts.find(|part| *part == "AccessKeyId");
        let key = parts.next();
        key.expect("an access key").to_owned()
    }

    fn request(&self, service: &str, method: Method, path: &str) -> RequestBuilder {
        self.request_as(OWN_KEY, REGION, service, method, path)
    }

    /// moto reads account, service and region from the signature and does not verify it.
    fn request_as(
        &self,
        key: &str,
        region: &str,
        service: &str,
        method: Method,
        path: &str,
    ) -> RequestBuilder {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20200101/{region}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        reqwest::Client::new()
            .request(method, format!("{}{path}", self.url()))
            .header("authorization", authorization)
    }
}

async fn succeed(request: RequestBuilder) -> Vec<u8> {
    let response = request.send().await.expect("an answer of moto");
    let response = response.error_for_status().expect("success of moto");
    response
        .bytes()
        .await
        .expect("the body of moto's answer")
        .to_vec()
}
