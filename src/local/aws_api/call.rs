//! Calls of AWS operations, and their errors.

use hyper::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::local::http::{BodyLost, Response, set, typed};

/// One call of an AWS operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsCall {
    /// The IAM action, such as `ecr:GetAuthorizationToken`.
    pub action: String,
    /// The region that it was for.
    pub region: String,
    /// The caller's account: that of the role, where one was assumed.
    pub account: String,
    /// The repository or secret that it was for, if one was named.
    pub resource: Option<String>,
}

/// Who calls, and where.
pub(super) struct Caller {
    pub(super) region: String,
    pub(super) account: String,
}

impl Caller {
    pub(super) fn repository_arn(&self, name: &str) -> String {
        let Self { region, account } = self;
        format!("arn:aws:ecr:{region}:{account}:repository/{name}")
    }

    pub(super) fn registry_host(&self) -> String {
        format!("{}.dkr.ecr.{}.amazonaws.com", self.account, self.region)
    }
}

/// A call that fails.
#[derive(Debug)]
pub(super) enum Refusal {
    /// An exception of the service.
    Exception {
        status: StatusCode,
        code: &'static str,
        message: String,
    },
    /// The client is gone.
    Lost,
    /// The registry's folder failed.
    Io(std::io::Error),
}

impl From<BodyLost> for Refusal {
    fn from(_: BodyLost) -> Self {
        Self::Lost
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self::Exception {
            status: StatusCode::BAD_REQUEST,
            code,
            message: message.into(),
        }
    }

    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::Exception {
            status: StatusCode::FORBIDDEN,
            code: "AccessDenied",
            message: message.into(),
        }
    }

    /// Status, code and message, or nothing where the connection is to be dropped.
    pub(super) fn words(self) -> Option<(StatusCode, &'static str, String)> {
        match self {
            Self::Exception {
                status,
                code,
                message,
            } => Some((status, code, message)),
            Self::Lost => None,
            Self::Io(error) => {
                tracing::error!(%error, "the embedded registry's folder failed");
                let message = "the registry's folder failed".to_owned();
                Some((
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "ServerException",
                    message,
                ))
            }
        }
    }
}

/// Reads the input of an operation.
pub(super) fn input<T: DeserializeOwned>(document: &Value) -> Result<T, Refusal> {
    let malformed = |error| Refusal::new("InvalidParameterException", format!("{error}"));
    T::deserialize(document).map_err(malformed)
}

/// An answer in AWS's JSON 1.1 protocol.
pub(super) fn json_answer(status: StatusCode, document: &Value) -> Response {
    typed(status, "application/x-amz-json-1.1", document.to_string())
}

/// An error in AWS's JSON 1.1 protocol.
pub(super) fn json_error(status: StatusCode, code: &str, message: &str) -> Response {
    let mut response = json_answer(status, &json!({"__type": code, "message": message}));
    set(&mut response, "x-amzn-errortype", code);
    response
}

/// An operation that this API does not have.
pub(super) fn unknown_operation(operation: &str) -> Refusal {
    let message = format!("the embedded AWS API does not have the operation {operation:?}");
    Refusal::new("UnknownOperationException", message)
}
