//! Who calls.

use super::{Arn, Call, Clients, Error, Operation};

/// The account that an identity is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its ID, 12 digits.
    pub id: String,
    /// The partition's ID, such as `aws`.
    pub partition: String,
}

impl Clients {
    /// The account of this identity, as STS tells. Nobody can be denied that.
    pub async fn account(&self) -> Result<Account, Error> {
        let call = Call {
            operation: Operation::GetCallerIdentity,
            target: "the account".to_owned(),
            resource: "*".to_owned(),
            region: self.region().to_owned(),
        };
        let answer = self.sts().get_caller_identity().send().await;
        let answer = answer.map_err(|error| self.explain(&call, &error))?;
        let arn: Option<Arn> = answer.arn.and_then(|arn| arn.parse().ok());
        let (Some(id), Some(arn)) = (answer.account, arn) else {
            return Err(Error::Incomplete {
                call: Box::new(call),
                expected: "an account and an ARN",
            });
        };
        Ok(Account {
            id,
            partition: arn.partition,
        })
    }
}
