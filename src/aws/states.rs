//! Executions of state machines of AWS Step Functions: started, found and stopped.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::clients::Endpoint;
use super::signed::{Api, JsonApi};
use super::{Arn, Call, Clients, Error, Missing, Operation};

const STATES: JsonApi = JsonApi {
    api: Api {
        id: "SFN",
        name: "states",
        host: "states",
        dual_stack_host: Some("states"),
        is_fips_in_gov_cloud: true,
    },
    content_type: "application/x-amz-json-1.0",
    target: "AWSStepFunctions",
};
/// The most executions of a page.
const PAGE: usize = 1000;
/// The most pages that are read: more executions than an account may have running would fill.
const MAX_PAGES: usize = 100;

/// The result of starting an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It runs: from now on, or from before with the same input.
    Runs,
    /// One of the same name ran before and has ended, or runs with another input.
    Before,
}

/// An execution that runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// Its ARN.
    #[serde(rename = "executionArn")]
    pub arn: String,
    /// Its name, of which a state machine has no second one within 90 days.
    pub name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    executions: Vec<Execution>,
    #[serde(default)]
    next_token: Option<String>,
}

impl Clients {
    /// Starts an execution of `machine`, an ARN, unless one of that name was started before.
    pub async fn start_execution(
        &self,
        machine: &str,
        name: &str,
        input: &str,
    ) -> Result<Started, Error> {
        let call = self.states_call(Operation::StartExecution, machine);
        let body = json!({ "stateMachineArn": machine, "name": name, "input": input });
        match self.ask_states::<Value>(&call, &body).await {
            Ok(_) => Ok(Started::Runs),
            Err(Error::Refused { source, .. }) if &*source.code == "ExecutionAlreadyExists" => {
                Ok(Started::Before)
            }
            Err(error) => Err(error),
        }
    }

    /// The executions of `machine`, an ARN, that run and whose names begin with `prefix`. A state
    /// machine that is not there has none.
    pub async fn running_executions(
        &self,
        machine: &str,
        prefix: &str,
    ) -> Result<Vec<Execution>, Error> {
        let call = self.states_call(Operation::ListExecutions, machine);
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let mut body = json!({
                "stateMachineArn": machine, "statusFilter": "RUNNING", "maxResults": PAGE,
            });
            if let Some(token) = next {
                body["nextToken"] = token;
            }
            let page: Page = match self.ask_states(&call, &body).await {
                Ok(page) => page,
                Err(Error::NotFound {
                    missing: Missing::StateMachine,
                    ..
                }) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let executions = page.executions.into_iter();
            found.extend(executions.filter(|execution| execution.name.starts_with(prefix)));
            next = page.next_token.map(Value::from);
            if next.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Stops an execution, by its ARN, for a reason. One that is not there, or has ended, is stopped.
    pub async fn stop_execution(&self, execution: &str, cause: &str) -> Result<(), Error> {
        let call = self.states_call(Operation::StopExecution, execution);
        let body = json!({
            "executionArn": execution, "error": "Longshore.Stopped", "cause": cause,
        });
        match self.ask_states::<Value>(&call, &body).await {
            Ok(_)
            | Err(Error::NotFound {
                missing: Missing::Execution | Missing::StateMachine,
                ..
            }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn ask_states<T: DeserializeOwned>(&self, call: &Call, body: &Value) -> Result<T, Error> {
        let endpoint = Endpoint::usual(&call.region);
        self.ask(&STATES, &endpoint, call, body).await
    }

    fn states_call(&self, operation: Operation, arn: &str) -> Call {
        let region = arn.parse::<Arn>().ok().map(|arn| arn.region);
        Call {
            operation,
            target: arn.to_owned(),
            resource: arn.to_owned(),
            region: region.unwrap_or_else(|| self.region().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Response, StatusCode};

    use super::super::stand_in::{Seen, StandIn, json as answer, json_error};
    use super::*;

    const MACHINE: &str = "arn:aws:states:eu-west-3:123456789012:stateMachine:mirror";
    const EXECUTION: &str = "arn:aws:states:eu-west-3:123456789012:execution:mirror:a-1";

    async fn refusing(status: u16, code: &'static str) -> StandIn {
        StandIn::start(move |_: &Seen| json_error(status, code, "refused")).await
    }

    #[tokio::test]
    async fn a_request_is_signed_for_the_region_of_the_machine() {
        let aws = StandIn::start(|_| answer(StatusCode::OK, &json!({"executionArn": "e"}))).await;
        let clients = aws.clients().await;
        let started = clients.start_execution(MACHINE, "a-1", r#"{"Mirror":"a"}"#);
        assert_eq!(started.await.unwrap(), Started::Runs);
        let [seen] = aws.seen().try_into().unwrap();
        assert_eq!((&*seen.uri, seen.operation()), ("/", "StartExecution"));
        assert_eq!(seen.header("content-type"), "application/x-amz-json-1.0");
        let signature = seen.header("authorization");
        assert!(
            signature.starts_with("AWS4-HMAC-SHA256 Credential=local/")
                && signature.contains("/eu-west-3/states/aws4_request"),
            "{signature}"
        );
        let expected =
            json!({"stateMachineArn": MACHINE, "name": "a-1", "input": "{\"Mirror\":\"a\"}"});
        assert_eq!(seen.json(), expected);
    }

    #[tokio::test]
    async fn a_name_is_started_once() {
        let aws = refusing(400, "ExecutionAlreadyExists").await;
        let started = aws.clients().await;
        let started = started.start_execution(MACHINE, "a-1", "{}").await;
        assert_eq!(started.unwrap(), Started::Before);
    }

    #[tokio::test]
    async fn every_page_is_looked_through() {
        let aws = StandIn::start(|seen: &Seen| {
            let execution = |name: &str| json!({"executionArn": name, "name": name});
            let page = match seen.json().get("nextToken") {
                None => {
                    json!({"executions": [execution("a-1"), execution("b-1")], "nextToken": "t"})
                }
                Some(_) => json!({"executions": [execution("a-2")]}),
            };
            answer(StatusCode::OK, &page)
        })
        .await;
        let found = aws.clients().await;
        let found = found.running_executions(MACHINE, "a-").await.unwrap();
        let names: Vec<_> = found.iter().map(|execution| &*execution.name).collect();
        assert_eq!(names, ["a-1", "a-2"]);
        assert_eq!(aws.seen()[0].json()["statusFilter"], "RUNNING");
    }

    #[tokio::test]
    async fn nothing_runs_where_there_is_no_machine() {
        for code in ["StateMachineDoesNotExist", "StateMachineDeleting"] {
            let aws = refusing(400, code).await;
            let found = aws.clients().await;
            assert_eq!(found.running_executions(MACHINE, "").await.unwrap(), []);
        }
        let aws = refusing(400, "com.amazonaws.swf#ExecutionDoesNotExist").await;
        let clients = aws.clients().await;
        clients
            .stop_execution(EXECUTION, "an update")
            .await
            .unwrap();
        let cause = aws.seen()[0].json()["cause"].clone();
        assert_eq!(cause, "an update");
    }

    #[tokio::test]
    async fn refusals_are_told_as_those_of_other_services() {
        for (status, code, expected) in [
            (
                400,
                "AccessDeniedException",
                "starting arn:aws:states:eu-west-3:123456789012:stateMachine:mirror was denied: \
                 allow states:StartExecution on \
                 arn:aws:states:eu-west-3:123456789012:stateMachine:mirror",
            ),
            (
                400,
                "StateMachineDoesNotExist",
                "there is no such state machine",
            ),
            (
                400,
                "ThrottlingException",
                "Step Functions keeps asking for fewer requests",
            ),
            (503, "", "Step Functions is not available at the moment"),
        ] {
            let aws = refusing(status, code).await;
            let clients = aws.clients().await;
            let error = clients.start_execution(MACHINE, "a-1", "{}").await;
            let error = error.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            let tries = if error.is_retryable() { 3 } else { 1 };
            assert_eq!(aws.seen().len(), tries, "{code}");
        }
    }

    #[tokio::test]
    async fn a_page_of_a_proxy_is_no_answer() {
        let aws = StandIn::start(|_| Response::new(Body::from("<html>Sign in</html>"))).await;
        let clients = aws.clients().await;
        let error = clients.start_execution(MACHINE, "a-1", "{}").await;
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("the request or its answer is malformed"),
            "{error}"
        );
    }
}
