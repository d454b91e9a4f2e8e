//! Grants: who may pull, as the properties of a resource say it.

use serde_json::{Map, Value, json};

use super::action::PULL_ACTIONS;
use super::statement::{OwnedStatement, is_read};
use super::{Action, InvalidGrant, Organization, Owner, Principals, Service, Statement};

/// Who may pull from a repository.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grants {
    /// Accounts, roles and users.
    pub principals: Vec<Principals>,
    /// Services of AWS.
    pub services: Vec<Service>,
    /// Anyone in these organizations or parts of them.
    pub organizations: Vec<Organization>,
    /// Complete statements, taken as they are.
    pub statements: Vec<Statement>,
    /// The actions that the principals, services and organizations may take. Empty: pull, by
    /// [`PULL_ACTIONS`], or what AWS documents for a service's pull where that is less.
    pub actions: Vec<Action>,
}

impl Grants {
    /// Returns true if nothing is granted.
    pub fn is_empty(&self) -> bool {
        self.principals.is_empty()
            && self.services.is_empty()
            && self.organizations.is_empty()
            && self.statements.is_empty()
    }

    /// Checks that nothing is granted but pulling and looking, by [`READ_ACTIONS`](super::READ_ACTIONS).
    ///
    /// # Errors
    ///
    /// The first action or statement that is more.
    pub fn only_pulls(&self) -> Result<(), InvalidGrant> {
        if let Some(action) = self.actions.iter().find(|action| !is_read(action.as_str())) {
            return Err(InvalidGrant::NoPull(action.as_str().to_owned()));
        }
        self.statements.iter().try_for_each(Statement::only_pulls)
    }

    /// The statements that say it, under Sids of `owner`, in the repository's `partition` (`aws`,
    /// `aws-cn`, …). The same grants have the same statements.
    ///
    /// # Errors
    ///
    /// A principal of another partition.
    pub fn statements(
        &self,
        owner: &Owner,
        partition: &str,
    ) -> Result<Vec<OwnedStatement>, InvalidGrant> {
        let mut list = List::new(owner);
        for group in &self.principals {
            let principals = match &group.principals {
                None => json!("*"),
                Some(named) if named.is_empty() => continue,
                Some(named) => named
                    .iter()
                    .map(|principal| principal.arn(partition))
                    .collect::<Result<Vec<_>, _>>()?
                    .into(),
            };
            let actions = self.actions_or(&PULL_ACTIONS);
            let principal = json!({ "AWS": principals });
            list.allow("Principals", principal, actions, group.condition.clone());
        }
        for service in &self.services {
            let actions = self.actions_or(service.pull_actions());
            let principal = json!({ "Service": service.name() });
            list.allow(service.label(), principal, actions, service.condition());
        }
        self.allow_organizations(&mut list);
        for statement in &self.statements {
            list.push(statement.sid().unwrap_or("Statement"), |sid| {
                statement.under(sid)
            });
        }
        Ok(list.statements)
    }

    /// Two conditions in one statement would both have to be met: IDs and paths have one each.
    fn allow_organizations(&self, list: &mut List<'_>) {
        let mut ids = Vec::new();
        let mut paths = Vec::new();
        for organization in &self.organizations {
            match organization {
                Organization::Id(id) => ids.push(id.as_str()),
                Organization::Path(path) => paths.push(path.as_str()),
            }
        }
        let blocks = [
            ("Organizations", "StringEquals", "aws:PrincipalOrgID", ids),
            (
                "OrganizationPaths",
                "ForAnyValue:StringLike",
                "aws:PrincipalOrgPaths",
                paths,
            ),
        ];
        for (label, operator, key, values) in blocks {
            if values.is_empty() {
                continue;
            }
            let block = Map::from_iter([(key.to_owned(), values.into())]);
            let condition = Map::from_iter([(operator.to_owned(), block.into())]);
            let anyone = json!({"AWS": "*"});
            list.allow(label, anyone, self.actions_or(&PULL_ACTIONS), condition);
        }
    }

    fn actions_or(&self, default: &[&str]) -> Value {
        if self.actions.is_empty() {
            return default.into();
        }
        let actions = self.actions.iter().map(Action::as_str);
        actions.collect::<Vec<_>>().into()
    }
}

/// Statements of one owner, each under a Sid of its own.
struct List<'a> {
    owner: &'a Owner,
    statements: Vec<OwnedStatement>,
}

impl<'a> List<'a> {
    fn new(owner: &'a Owner) -> Self {
        Self {
            owner,
            statements: Vec::new(),
        }
    }

    fn allow(
        &mut self,
        label: &str,
        principal: Value,
        action: Value,
        condition: Map<String, Value>,
    ) {
        let mut elements = Map::from_iter([
            ("Effect".to_owned(), "Allow".into()),
            ("Principal".to_owned(), principal),
            ("Action".to_owned(), action),
        ]);
        if !condition.is_empty() {
            elements.insert("Condition".to_owned(), condition.into());
        }
        self.push(label, |sid| OwnedStatement::new(sid, elements));
    }

    /// Adds a statement; one whose label is taken has a number after it.
    fn push(&mut self, label: &str, statement: impl FnOnce(String) -> OwnedStatement) {
        let taken = |sid: &str| self.statements.iter().any(|other| other.sid() == sid);
        let numbered = (2..).map(|number| self.owner.sid(&format!("{number}{label}")));
        let sid = std::iter::once(self.owner.sid(label))
            .chain(numbered)
            .find(|sid| !taken(sid));
        self.statements.extend(sid.map(statement));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::canonical::canonical;

    fn owner() -> Owner {
        Owner::new("stack", "PullAccess")
    }

    fn principals(names: &[&str]) -> Grants {
        let names = names.iter().map(|name| name.parse().unwrap()).collect();
        Grants {
            principals: vec![Principals::always(names)],
            ..Grants::default()
        }
    }

    fn service(name: &str, arns: &[&str], accounts: &[&str]) -> Service {
        let arns = arns.iter().map(ToString::to_string).collect();
        let accounts = accounts.iter().map(|id| id.parse().unwrap()).collect();
        Service::new(name, arns, accounts).unwrap()
    }

    /// Asserts that the grants say what `documented` statements say, Sids apart.
    fn assert_says(grants: &Grants, documented: &[Value]) {
        let own = grants.statements(&owner(), "aws").unwrap();
        assert_eq!(own.len(), documented.len());
        for (own, documented) in own.iter().zip(documented) {
            let mut documented = documented.clone();
            documented["Sid"] = own.sid().into();
            let same = canonical(own.as_json()) == canonical(&documented);
            assert!(same, "{} is not {documented}", own.as_json());
        }
    }

    #[test]
    fn says_what_lambda_documents_for_functions_of_another_account() {
        let grants = Grants {
            services: vec![service(
                "lambda.amazonaws.com",
                &["arn:aws:lambda:us-east-1:123456789012:function:*"],
                &[],
            )],
            actions: ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
                .map(|action| action.parse().unwrap())
                .to_vec(),
            ..principals(&["123456789012"])
        };
        let documented = [
            json!({
                "Sid": "CrossAccountPermission",
                "Effect": "Allow",
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            }),
            json!({
                "Sid": "LambdaECRImageCrossAccountRetrievalPolicy",
                "Effect": "Allow",
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Condition": {"StringLike": {
                    "aws:sourceARN": "arn:aws:lambda:us-east-1:123456789012:function:*"
                }},
            }),
        ];
        assert_says(&grants, &documented);
    }

    #[test]
    fn says_what_lambda_documents_for_functions_of_the_account() {
        let grants = Grants {
            services: vec![service("lambda.amazonaws.com", &[], &[])],
            ..Grants::default()
        };
        let documented = json!({
            "Sid": "LambdaECRImageRetrievalPolicy",
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        });
        assert_says(&grants, &[documented]);
    }

    #[test]
    fn says_what_codebuild_documents() {
        let project = "arn:aws:codebuild:us-east-1:111122223333:project/MyProject";
        let grants = Grants {
            services: vec![service(
                "codebuild.amazonaws.com",
                &[project],
                &["111122223333"],
            )],
            ..principals(&["111122223333"])
        };
        let actions = [
            "ecr:GetDownloadUrlForLayer",
            "ecr:BatchGetImage",
            "ecr:BatchCheckLayerAvailability",
        ];
        let documented = [
            json!({
                "Sid": "CodeBuildAccessCrossAccount",
                "Effect": "Allow",
                "Principal": {"AWS": "111122223333"},
                "Action": actions,
            }),
            json!({
                "Sid": "CodeBuildAccessPrincipal",
                "Effect": "Allow",
                "Principal": {"Service": "codebuild.amazonaws.com"},
                "Action": actions,
                "Condition": {"StringEquals": {
                    "aws:SourceArn": project,
                    "aws:SourceAccount": "111122223333",
                }},
            }),
        ];
        assert_says(&grants, &documented);
    }

    #[test]
    fn says_what_ecr_documents_for_users_of_another_account() {
        let users = [
            "arn:aws:iam::111122223333:user/pull-user-1",
            "arn:aws:iam::111122223333:user/pull-user-2",
        ];
        let documented = json!({
            "Sid": "AllowPull",
            "Effect": "Allow",
            "Principal": {"AWS": users},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
        });
        assert_says(&principals(&users), &[documented]);
    }

    #[test]
    fn lets_organizations_and_parts_of_them_in_by_condition() {
        let path = "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*";
        let grants = Grants {
            organizations: ["o-a1b2c3d4e5", path, "o-z9y8x7w6v5"]
                .map(|organization| organization.parse().unwrap())
                .to_vec(),
            ..Grants::default()
        };
        let documented = [
            json!({
                "Effect": "Allow",
                "Principal": "*",
                "Action": PULL_ACTIONS,
                "Condition": {"StringEquals": {
                    "aws:PrincipalOrgID": ["o-a1b2c3d4e5", "o-z9y8x7w6v5"]
                }},
            }),
            json!({
                "Effect": "Allow",
                "Principal": "*",
                "Action": PULL_ACTIONS,
                "Condition": {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": [path]}},
            }),
        ];
        assert_says(&grants, &documented);
    }

    #[test]
    fn takes_complete_statements_under_sids_of_its_own() {
        let deny = json!({
            "Sid": "OnlyOurNetwork",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "ecr:*",
            "Condition": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
        });
        let statement = Statement::new(deny.as_object().unwrap().clone()).unwrap();
        let grants = Grants {
            statements: vec![statement.clone(), statement],
            ..Grants::default()
        };
        assert_says(&grants, &[deny.clone(), deny]);
        let own = grants.statements(&owner(), "aws").unwrap();
        assert_ne!(own[0].sid(), own[1].sid());
        assert!(own.iter().all(|own| owner().owns(own.sid())));
        assert!(own[0].sid().contains("OnlyOurNetwork"));
    }

    #[test]
    fn names_accounts_of_the_repositorys_partition() {
        let own = principals(&["123456789012"]).statements(&owner(), "aws-us-gov");
        let own = own.unwrap();
        let principal = &own[0].as_json()["Principal"]["AWS"];
        assert_eq!(principal, &json!(["arn:aws-us-gov:iam::123456789012:root"]));
        let role = principals(&["arn:aws:iam::123456789012:role/deploy"]);
        let error = role.statements(&owner(), "aws-cn").unwrap_err();
        assert!(matches!(error, InvalidGrant::Partition { .. }), "{error}");
    }

    #[test]
    fn says_what_is_no_service() {
        for name in ["lambda", "", "Lambda.amazonaws.com", "lambda..com", "*"] {
            let error = Service::new(name, vec![], vec![]).unwrap_err();
            assert!(matches!(error, InvalidGrant::Service(_)), "{name}: {error}");
        }
        for arn in ["*", "arn:aws:lambda", "function:app", "arn::lambda:r:1:f"] {
            let error = Service::new("lambda.amazonaws.com", vec![arn.into()], vec![]).unwrap_err();
            assert!(
                matches!(error, InvalidGrant::SourceArn(_)),
                "{arn}: {error}"
            );
        }
    }
}
