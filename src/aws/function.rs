//! Functions of AWS Lambda: how this one has itself invoked again.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::clients::Endpoint;
use super::signed::{Api, Message};
use super::{Arn, Call, Clients, Error, Operation};

const LAMBDA: Api = Api {
    id: "Lambda",
    name: "lambda",
    host: "lambda",
    dual_stack_host: Some("lambda"),
    is_fips_in_gov_cloud: false,
};
/// What a label in a path may not have.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The status with which Lambda takes an asynchronous invocation.
const ACCEPTED: u16 = 202;

impl Clients {
    /// Has `function`, an ARN, invoked once with `event`, and does not wait for it.
    pub async fn invoke_later(&self, function: &str, event: String) -> Result<(), Error> {
        let arn = function.parse::<Arn>().ok();
        let region = arn.map_or_else(|| self.region().to_owned(), |arn| arn.region);
        let call = Call {
            operation: Operation::InvokeFunction,
            target: function.to_owned(),
            resource: function.to_owned(),
            region,
        };
        let name = utf8_percent_encode(function, ESCAPED);
        let message = Message {
            path: format!("/2015-03-31/functions/{name}/invocations"),
            headers: vec![
                ("content-type", "application/octet-stream".to_owned()),
                ("x-amz-invocation-type", "Event".to_owned()),
            ],
            body: event,
        };
        let endpoint = Endpoint::usual(&call.region);
        let reply = self.send(&LAMBDA, &endpoint, &call, message).await?;
        if reply.status != ACCEPTED {
            return Err(Error::Incomplete {
                call: Box::new(call),
                expected: "the status 202",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Response, StatusCode};
    use serde_json::json;

    use super::super::stand_in::{StandIn, json as answer, json_error};

    const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:images:live";

    #[tokio::test]
    async fn invokes_without_waiting() {
        let aws = StandIn::start(|_| answer(StatusCode::ACCEPTED, &json!({}))).await;
        let clients = aws.clients().await;
        let event = json!({"RequestType": "Create"});
        clients
            .invoke_later(FUNCTION, event.to_string())
            .await
            .unwrap();
        let [seen] = aws.seen().try_into().unwrap();
        let path = FUNCTION.replace(':', "%3A");
        assert_eq!(
            seen.uri,
            format!("/2015-03-31/functions/{path}/invocations")
        );
        assert_eq!(seen.header("x-amz-invocation-type"), "Event");
        assert_eq!(seen.json(), event);
    }

    #[tokio::test]
    async fn a_page_of_a_proxy_is_no_invocation() {
        let aws = StandIn::start(|_| Response::new(Body::from("<html>Sign in</html>"))).await;
        let clients = aws.clients().await;
        let invoked = clients.invoke_later(FUNCTION, "{}".to_owned()).await;
        let error = invoked.unwrap_err().to_string();
        assert!(error.contains("expected the status 202"), "{error}");
    }

    #[tokio::test]
    async fn a_denial_names_what_to_allow() {
        let aws = StandIn::start(|_| -> Response<Body> {
            json_error(403, "AccessDeniedException", "User: x is not authorized")
        })
        .await;
        let clients = aws.clients().await;
        let denied = clients.invoke_later(FUNCTION, "{}".to_owned()).await;
        let error = denied.unwrap_err().to_string();
        let wanted = format!("lambda:InvokeFunction on {FUNCTION}");
        assert!(error.contains(&wanted), "{error}");
    }
}
