//! Who may pull, by the policies of repositories: on the embedded stand-in, and on `moto`'s ECR.

use std::time::Duration;

use futures_util::future::join_all;
use longshore::aws::{Clients, EcrHost, EcrPolicy, EcrRepository};
use longshore::policy::{self, Error, Grants, OwnedStatement, Owner, PolicyStore, Principals};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Answer, Bench, Cloud, ECR, Moto};

const REPOSITORY: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/example";
const STACK: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/example/1";

fn deadline() -> Instant {
    Instant::now() + Duration::from_mins(3)
}

fn policy_of(clients: &Clients) -> EcrPolicy {
    let Some(EcrHost::Private(host)) = EcrHost::parse(ECR) else {
        panic!("{ECR}");
    };
    EcrPolicy::new(EcrRepository::new(clients, &host, "example"))
}

fn pull(owner: &Owner, principals: &[&str]) -> Vec<OwnedStatement> {
    let principals = principals.iter().map(|name| name.parse().unwrap());
    let grants = Grants {
        principals: vec![Principals::always(principals.collect())],
        ..Grants::default()
    };
    grants.statements(owner, "aws").unwrap()
}

/// What somebody else wrote before.
fn theirs() -> Value {
    json!({"Version": "2008-10-17", "Statement": [{
        "Sid": "new statement", "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": ["ecr:PutImage"],
    }]})
}

async fn stand_in() -> (Bench, EcrPolicy) {
    let bench = Bench::new().await;
    let registry = &bench.environment.registry;
    registry.create_repository("example").await.unwrap();
    let api = bench.environment.aws.base_url();
    let policy = policy_of(&Clients::local(&api, &api).await);
    (bench, policy)
}

#[tokio::test]
async fn a_new_role_is_waited_for() {
    let (bench, store) = stand_in().await;
    let role = "arn:aws:iam::210987654321:role/Fresh";
    bench.environment.aws.hide_principal(role, 1);
    let owner = Owner::new(STACK, "Pull");
    let own = pull(&owner, &[role]);
    let applied = policy::apply(&store, &owner, &own, deadline()).await;
    assert_eq!(applied.unwrap().writes, 1);
    assert!(store.get().await.unwrap().unwrap().contains(role));
}

#[tokio::test]
async fn a_policy_without_room_is_left_as_it_is() {
    let (_bench, store) = stand_in().await;
    let mut full = theirs();
    full["Statement"][0]["Condition"] =
        json!({"StringEquals": {"aws:PrincipalTag/a": "x".repeat(9_900)}});
    store.set(&full.to_string(), false).await.unwrap();
    let owner = Owner::new(STACK, "Pull");
    let own = pull(&owner, &["111122223333", "444455556666"]);
    let error = policy::apply(&store, &owner, &own, deadline()).await;
    assert!(matches!(error, Err(Error::TooLarge { .. })), "{error:?}");
    let kept = store.get().await.unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), full);
}

/// `moto` with a repository whose policy somebody else wrote.
async fn account() -> Moto {
    let moto = Moto::start();
    moto.ecr("CreateRepository", json!({"repositoryName": "example"}))
        .await;
    let policy = json!({"repositoryName": "example", "policyText": theirs().to_string()});
    moto.ecr("SetRepositoryPolicy", policy).await;
    moto
}

async fn statements(moto: &Moto) -> Vec<Value> {
    let named = json!({"repositoryName": "example"});
    let answer = moto.ecr("GetRepositoryPolicy", named).await;
    let policy: Value = serde_json::from_str(answer["policyText"].as_str().unwrap()).unwrap();
    policy["Statement"].as_array().unwrap().clone()
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn writers_at_the_same_time_lose_nothing() {
    let moto = account().await;
    let clients = Clients::local(&moto.url(), &moto.url()).await;
    let owners: Vec<Owner> = (0..4)
        .map(|n| Owner::new(STACK, &format!("Pull{n}")))
        .collect();
    let all = owners.iter().map(|owner| {
        let store = policy_of(&clients);
        let own = pull(owner, &["111122223333"]);
        async move { policy::apply(&store, owner, &own, deadline()).await }
    });
    for applied in join_all(all).await {
        applied.unwrap();
    }
    let merged = statements(&moto).await;
    assert_eq!(merged.len(), 5, "{merged:?}");
    assert_eq!(merged[0], theirs()["Statement"][0]);

    let all = owners.iter().map(|owner| {
        let store = policy_of(&clients);
        async move { policy::withdraw(&store, owner, deadline()).await }
    });
    for withdrawn in join_all(all).await {
        withdrawn.unwrap();
    }
    assert_eq!(statements(&moto).await, [theirs()["Statement"][0].clone()]);
}

struct World {
    moto: Moto,
    cloud: Cloud,
}

impl World {
    async fn new() -> Self {
        let moto = account().await;
        let nowhere = "http://127.0.0.1:9";
        let cloud = Cloud::start(nowhere, &[("AWS_ENDPOINT_URL", &moto.url())]).await;
        Self { moto, cloud }
    }

    async fn send(&self, request: &str, id: &str, properties: &Value) -> Answer {
        let token = "arn:aws:lambda:eu-west-1:123456789012:function:longshore";
        let mut event = json!({
            "RequestType": request,
            "RequestId": "the-request",
            "StackId": STACK,
            "LogicalResourceId": "Pull",
            "ResourceType": "Custom::ECRPullPolicy",
            "PhysicalResourceId": id,
            "ServiceToken": token,
            "ResourceProperties": properties,
        });
        event["ResourceProperties"]["ServiceToken"] = token.into();
        self.cloud.send_event(event).await
    }

    /// How many calls of ECR succeeded.
    fn calls(&self) -> usize {
        self.moto.log().matches("POST / HTTP/1.1\" 200").count()
    }
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_policy_lives_from_create_to_delete() {
    let world = World::new().await;
    let first = json!({
        "Repository": REPOSITORY,
        "Principals": ["111122223333"],
        "Services": [{
            "Service": "lambda.amazonaws.com",
            "SourceArns": ["arn:aws:lambda:eu-west-1:111122223333:function:*"],
        }],
        "Organizations": ["o-a1b2c3d4e5"],
    });
    let created = world.send("Create", "", &first).await.succeeded();
    let sids: Vec<_> = created.attribute("Sids").split(',').collect();
    assert_eq!(sids.len(), 3);
    assert_eq!(created.attribute("RepositoryArn"), REPOSITORY);
    assert_eq!(created.attribute("RepositoryUri"), format!("{ECR}/example"));
    let after = statements(&world.moto).await;
    assert_eq!(after.len(), 4);
    assert_eq!(after[0], theirs()["Statement"][0]);
    let text: Value = created.attribute("PolicyText").parse().unwrap();
    assert_eq!(text["Statement"].as_array().unwrap(), &after);

    let second = json!({"Repository": "example", "Principals": ["444455556666"]});
    let updated = world
        .send("Update", created.id(), &second)
        .await
        .succeeded();
    assert_eq!(updated.id(), created.id(), "not a replacement");
    let after = statements(&world.moto).await;
    assert_eq!(after.len(), 2);
    assert!(after[1].to_string().contains("444455556666"));

    let deleted = world
        .send("Delete", created.id(), &second)
        .await
        .succeeded();
    assert_eq!(deleted.id(), created.id());
    assert_eq!(
        statements(&world.moto).await,
        [theirs()["Statement"][0].clone()]
    );
    world
        .send("Delete", created.id(), &second)
        .await
        .succeeded();
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_policy_that_says_so_already_is_read_and_not_written() {
    let world = World::new().await;
    let properties = json!({"Repository": "example", "Principals": ["111122223333"]});
    let created = world.send("Create", "", &properties).await.succeeded();
    let before = world.calls();
    world
        .send("Update", created.id(), &properties)
        .await
        .succeeded();
    assert_eq!(world.calls() - before, 1, "one read");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_repository_that_is_not_there_is_named() {
    let world = World::new().await;
    let properties = json!({"Repository": "missing", "Principals": ["111122223333"]});
    let failed = world.send("Create", "", &properties).await;
    let reason = failed.failure();
    assert!(
        reason.contains("missing") && reason.contains("create it first"),
        "{reason}"
    );
    world
        .send("Delete", failed.id(), &properties)
        .await
        .succeeded();
}
