//! Tests of a repository's policy: for those who grant, and for those who wrote it before.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::*;
use crate::content::BoxError;

const STACK: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/app/0a1b2c";

fn owner() -> Owner {
    Owner::new(STACK, "PullAccess")
}

fn account(id: &str) -> Grants {
    principals(&[id])
}

fn principals(names: &[&str]) -> Grants {
    let names = names.iter().map(|name| name.parse().unwrap()).collect();
    Grants {
        principals: vec![Principals::always(names)],
        ..Grants::default()
    }
}

fn statements(grants: &Grants, owner: &Owner) -> Vec<OwnedStatement> {
    grants.statements(owner, "aws").unwrap()
}

/// A repository's policy in memory, with what can happen to one.
#[derive(Default)]
struct Fake {
    policy: Mutex<Option<String>>,
    writes: Mutex<u32>,
    /// The time that a read, and then a write, takes.
    latency: Duration,
    /// Roles that are not known before a time.
    unknown: Option<(&'static str, Instant)>,
    /// The answer to every write.
    refuses: Option<fn() -> StoreError>,
    /// True if another writer puts its own policy back after every write.
    overwritten: bool,
    missing: bool,
}

impl Fake {
    fn holding(policy: &Value) -> Self {
        Self {
            policy: Mutex::new(Some(format!("{policy:#}"))),
            ..Self::default()
        }
    }

    fn document(&self) -> Document {
        let policy = self.policy.lock().unwrap();
        Document::parse(policy.as_deref().expect("there is a policy")).unwrap()
    }

    fn writes(&self) -> u32 {
        *self.writes.lock().unwrap()
    }

    fn put(&self, policy: Option<String>) -> Result<(), StoreError> {
        *self.writes.lock().unwrap() += 1;
        if let Some(refusal) = self.refuses {
            return Err(refusal());
        }
        let new = policy.as_deref().unwrap_or_default();
        if let Some((role, known)) = &self.unknown
            && new.contains(role)
            && Instant::now() < *known
        {
            return Err(StoreError::PrincipalNotFound(because()));
        }
        if !self.overwritten {
            *self.policy.lock().unwrap() = policy;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.missing {
            return Err(StoreError::RepositoryNotFound(because()));
        }
        Ok(())
    }
}

fn because() -> BoxError {
    "as the test wants it".into()
}

impl PolicyStore for Fake {
    fn name(&self) -> &'static str {
        "app"
    }

    fn get(&self) -> BoxFuture<'_, Result<Option<String>, StoreError>> {
        async move {
            sleep(self.latency).await;
            self.check()?;
            Ok(self.policy.lock().unwrap().clone())
        }
        .boxed()
    }

    fn set<'a>(&'a self, text: &'a str, force: bool) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            assert!(!force, "a lock-out is never forced");
            assert!(text.chars().count() <= MAX_POLICY_CHARACTERS);
            sleep(self.latency).await;
            self.put(Some(text.to_owned()))
        }
        .boxed()
    }

    fn delete(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            sleep(self.latency).await;
            self.put(None)
        }
        .boxed()
    }
}

fn theirs() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": "999999999999"},
        "Action": "ecr:PutImage",
    }]})
}

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(10)
}

async fn granted(store: &Fake, grants: &Grants) -> Result<Applied, Error> {
    apply(store, &owner(), &statements(grants, &owner()), soon()).await
}

#[tokio::test(start_paused = true)]
async fn writes_once_and_then_nothing() {
    let store = Fake::default();
    let grants = account("123456789012");
    let first = granted(&store, &grants).await.unwrap();
    assert_eq!((first.writes, store.writes()), (1, 1));

    // As ECR returns it: other white space, one value instead of a list of one.
    let returned = store.document().to_string();
    let returned: Value = serde_json::from_str(&returned).unwrap();
    let mut spelled = returned.clone();
    spelled["Statement"][0]["Principal"]["AWS"] = "123456789012".into();
    *store.policy.lock().unwrap() = Some(format!("{spelled:#}"));
    let second = granted(&store, &grants).await.unwrap();
    assert_eq!((second.writes, store.writes()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn changes_and_removes_only_its_own() {
    let store = Fake::holding(&theirs());
    granted(&store, &account("111111111111")).await.unwrap();
    granted(&store, &account("222222222222")).await.unwrap();
    let text = store.document().to_string();
    assert!(text.contains("222222222222") && !text.contains("111111111111"));
    assert!(text.contains("\"Theirs\""));

    withdraw(&store, &owner(), soon()).await.unwrap();
    let left = Document::parse(&theirs().to_string()).unwrap();
    assert_eq!(store.document(), left);
    let again = withdraw(&store, &owner(), soon()).await.unwrap();
    assert_eq!(again.writes, 0);
}

#[tokio::test(start_paused = true)]
async fn removes_the_policy_with_its_last_statement() {
    let store = Fake::default();
    granted(&store, &account("111111111111")).await.unwrap();
    let gone = withdraw(&store, &owner(), soon()).await.unwrap();
    assert_eq!(gone.text, "");
    assert_eq!(*store.policy.lock().unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_missing_repository_fails_a_grant_but_not_its_removal() {
    let store = Fake {
        missing: true,
        ..Fake::default()
    };
    let error = granted(&store, &account("111111111111")).await.unwrap_err();
    let missing = matches!(error, Error::Store(StoreError::RepositoryNotFound(_)));
    assert!(missing, "{error}");
    assert_eq!(withdraw(&store, &owner(), soon()).await.unwrap().writes, 0);
}

#[tokio::test(start_paused = true)]
async fn writers_at_the_same_time_lose_nothing() {
    let store = Fake {
        latency: Duration::from_millis(80),
        ..Fake::holding(&theirs())
    };
    let owners: Vec<Owner> = (0..4)
        .map(|n| Owner::new(STACK, &format!("R{n}")))
        .collect();
    let grants = account("123456789012");
    let all = owners.iter().map(|owner| {
        let own = statements(&grants, owner);
        let store = &store;
        async move { apply(store, owner, &own, soon()).await }
    });
    for applied in join_all(all).await {
        applied.unwrap();
    }
    let merged = store.document();
    for owner in &owners {
        assert!(merged.holds(owner, &statements(&grants, owner)));
    }
    assert!(merged.to_string().contains("\"Theirs\""));
    assert!(store.writes() > 4, "they did overwrite each other");

    let all = owners.iter().map(|owner| withdraw(&store, owner, soon()));
    for withdrawn in join_all(all).await {
        withdrawn.unwrap();
    }
    let left = Document::parse(&theirs().to_string()).unwrap();
    assert_eq!(store.document(), left);
}

#[tokio::test(start_paused = true)]
async fn gives_up_on_a_writer_that_never_rests() {
    let store = Fake {
        overwritten: true,
        ..Fake::holding(&theirs())
    };
    let error = granted(&store, &account("111111111111")).await.unwrap_err();
    assert!(
        matches!(error, Error::Contended { writes: 8, .. }),
        "{error}"
    );
    assert!(error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_new_role_to_become_known() {
    let role = "arn:aws:iam::123456789012:role/new";
    let store = Fake {
        unknown: Some((role, Instant::now() + Duration::from_secs(45))),
        ..Fake::default()
    };
    let applied = granted(&store, &principals(&[role])).await.unwrap();
    assert_eq!(applied.writes, 1);
}

#[tokio::test(start_paused = true)]
async fn explains_a_role_that_never_becomes_known() {
    let role = "arn:aws:iam::123456789012:role/misspelt";
    let never = Instant::now() + Duration::from_secs(100_000);
    let mut policy = theirs();
    policy["Statement"][0]["Principal"]["AWS"] = "AROAEXAMPLE".into();
    let store = Fake {
        unknown: Some((role, never)),
        ..Fake::holding(&policy)
    };
    let start = Instant::now();
    let error = granted(&store, &principals(&[role])).await.unwrap_err();
    let waited = start.elapsed();
    assert!(waited > Duration::from_mins(1), "{waited:?}");
    assert!(waited < Duration::from_secs(150), "{waited:?}");
    let text = error.to_string();
    assert!(matches!(error, Error::PrincipalNotFound { .. }), "{text}");
    for part in [role, "\"Theirs\"", "AROAEXAMPLE"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn explains_it_before_its_time_is_over() {
    let role = "arn:aws:iam::123456789012:role/misspelt";
    let never = Instant::now() + Duration::from_secs(100_000);
    let store = Fake {
        unknown: Some((role, never)),
        ..Fake::default()
    };
    let own = statements(&principals(&[role]), &owner());
    let deadline = Instant::now() + Duration::from_secs(30);
    let error = apply(&store, &owner(), &own, deadline).await.unwrap_err();
    assert!(matches!(error, Error::PrincipalNotFound { .. }), "{error}");
    assert!(Instant::now() < deadline);
}

#[tokio::test(start_paused = true)]
async fn ends_by_its_deadline() {
    let store = Fake {
        latency: Duration::from_hours(1),
        ..Fake::default()
    };
    let own = statements(&account("111111111111"), &owner());
    let deadline = Instant::now() + Duration::from_secs(30);
    let error = apply(&store, &owner(), &own, deadline).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn explains_a_policy_that_would_lock_out() {
    let deny = json!({"Sid": "Nobody", "Effect": "Deny", "Principal": "*", "Action": "ecr:*"});
    let store = Fake {
        refuses: Some(|| StoreError::Refused(because())),
        ..Fake::default()
    };
    let grants = Grants {
        statements: vec![Statement::new(deny.as_object().unwrap().clone()).unwrap()],
        ..Grants::default()
    };
    let error = granted(&store, &grants).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Refused { .. }), "{text}");
    assert!(text.contains("Nobody") && text.contains("deny"), "{text}");
    assert_eq!(store.writes(), 1, "no role is waited for");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_may_be_a_new_roles_is_tried_again() {
    let store = Fake {
        refuses: Some(|| StoreError::Refused(because())),
        ..Fake::default()
    };
    let role = principals(&["arn:aws:iam::123456789012:role/new"]);
    let error = granted(&store, &role).await.unwrap_err();
    assert!(error.to_string().contains("role/new"), "{error}");
    assert!(store.writes() > 1);
}

#[derive(Debug, thiserror::Error)]
#[error("allow ecr:SetRepositoryPolicy")]
struct Denied;

impl crate::content::Retryable for Denied {
    fn is_retryable(&self) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn says_what_the_store_says() {
    let store = Fake {
        refuses: Some(|| StoreError::Other(crate::content::Error::backend(Denied))),
        ..Fake::default()
    };
    let error = granted(&store, &account("111111111111")).await.unwrap_err();
    assert_eq!(error.to_string(), "allow ecr:SetRepositoryPolicy");
    assert!(!error.is_retryable());
    assert_eq!(store.writes(), 1);
}

#[tokio::test(start_paused = true)]
async fn measures_before_it_writes() {
    let store = Fake::holding(&theirs());
    let roles: Vec<String> = (0..200)
        .map(|n| format!("arn:aws:iam::123456789012:role/team/service-{n:04}"))
        .collect();
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let error = granted(&store, &principals(&roles)).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("10240"), "{error}");
    assert_eq!(store.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_policy_variable_needs_a_version_that_knows_it() {
    let statement = json!({
        "Effect": "Deny", "Principal": "*", "Action": "ecr:BatchGetImage",
        "Condition": {"StringNotEquals": {"aws:PrincipalTag/team": "${aws:ResourceTag/team}"}},
    });
    let grants = Grants {
        statements: vec![Statement::new(statement.as_object().unwrap().clone()).unwrap()],
        ..Grants::default()
    };
    let mut old = theirs();
    old["Version"] = "2008-10-17".into();
    let error = granted(&Fake::holding(&old), &grants).await.unwrap_err();
    assert!(matches!(error, Error::Variable { .. }), "{error}");
    granted(&Fake::holding(&theirs()), &grants).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_cannot_be_read_is_left_as_it_is() {
    let store = Fake {
        policy: Mutex::new(Some("not JSON".to_owned())),
        ..Fake::default()
    };
    let error = granted(&store, &account("111111111111")).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert_eq!(store.writes(), 0);
}
