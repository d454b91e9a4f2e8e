//! Who answers CloudFormation: this function, or the one that invoked it.

/// Returns true if the function that invoked this one answers CloudFormation.
///
/// The provider framework of the CDK passes the event on as it got it, `ResponseURL` and all,
/// takes what this function returns, and answers that. It is known by the resource's
/// `ServiceToken`, which then names another function of the account and region of `this`.
pub(super) fn is_left_to_the_caller(service_token: &str, this: &str) -> bool {
    match (Function::of(service_token), Function::of(this)) {
        (Some(provider), Some(this)) => provider.place == this.place && provider.name != this.name,
        _ => false,
    }
}

struct Function<'a> {
    /// Region and account.
    place: [&'a str; 2],
    name: &'a str,
}

impl<'a> Function<'a> {
    /// The function of an ARN, which may name a version or an alias of it.
    fn of(arn: &'a str) -> Option<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", _, "lambda", region, account, "function", name, ..] = parts.as_slice() else {
            return None;
        };
        Some(Self {
            place: [region, account],
            name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIS: &str = "arn:aws:lambda:eu-west-1:123456789012:function:longshore";

    #[test]
    fn a_stack_that_names_this_function_is_answered_by_it() {
        let version = format!("{THIS}:7");
        let topic = "arn:aws:sns:eu-west-1:123456789012:topic";
        let emulated = "arn:aws:lambda:us-east-1:012345678912:function:test_function";
        for (token, this) in [
            (THIS, THIS),
            (version.as_str(), THIS),
            (THIS, version.as_str()),
            (topic, THIS),
            ("", THIS),
            (THIS, ""),
            (THIS, emulated),
        ] {
            assert!(!is_left_to_the_caller(token, this), "{token} {this}");
        }
    }

    #[test]
    fn a_framework_answers_for_it() {
        let framework = "arn:aws:lambda:eu-west-1:123456789012:function:Stack-onEvent";
        assert!(is_left_to_the_caller(framework, THIS));
    }
}
