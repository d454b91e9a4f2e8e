//! Repositories of two accounts in two regions, apart by roles of `moto`'s STS: each account has a
//! registry of its own, which takes only the password of that account's token.

use serde_json::{Value, json};

use crate::support::{Answer, Cloud, DockerRegistry, ECR, Moto, OTHER_ACCOUNT, OTHER_PASSWORD};

const ROLE: &str = "arn:aws:iam::210987654321:role/push";
const OTHER_ECR: &str = "210987654321.dkr.ecr.us-west-2.amazonaws.com";
const EXAMPLE: &str = "events/buckets/longshore-example/example-1.0.tar";

struct World {
    moto: Moto,
    own: DockerRegistry,
    other: DockerRegistry,
    cloud: Cloud,
}

impl World {
    async fn new() -> Self {
        let (moto, own, other) = (
            Moto::start(),
            DockerRegistry::start(),
            DockerRegistry::start_for_other_account(),
        );
        moto.create_bucket("images").await;
        let archive = std::fs::read(EXAMPLE).unwrap();
        moto.put_object("images", "example.tar", archive).await;
        let registries = format!("{ECR}={},{OTHER_ECR}={}", own.url(), other.url());
        let variables = [
            ("AWS_ENDPOINT_URL", moto.url()),
            ("LONGSHORE_REGISTRY_OVERRIDE", registries),
        ];
        let variables = variables
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let cloud = Cloud::start(&own.url(), &variables).await;
        Self {
            moto,
            own,
            other,
            cloud,
        }
    }

    async fn create(&self, properties: Value) -> Answer {
        self.cloud.create(&properties).await
    }

    /// Calls ECR in the other account and region.
    async fn other_ecr(&self, operation: &str, body: Value) -> Result<Value, Value> {
        let key = self.moto.assume(ROLE).await;
        self.moto.ecr_as(&key, "us-west-2", operation, body).await
    }
}

fn settings() -> Value {
    json!({
        "ImageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "ImageTagMutabilityExclusionFilters": ["dev-*"],
        "ScanOnPush": true,
        "EncryptionType": "KMS",
        "Tags": {"team": "a"},
        "LifecyclePolicyText": lifecycle(),
    })
}

fn lifecycle() -> Value {
    json!({"rules": [{
        "rulePriority": 1,
        "selection": {
            "tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 9,
        },
        "action": {"type": "expire"},
    }]})
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_destination_is_in_another_account_and_region_than_function_and_source() {
    let world = World::new().await;
    let staged = json!({
        "Source": "s3://images/example.tar", "Destination": format!("{ECR}/source:1.0"),
    });
    let staged = world.create(staged).await.succeeded();

    let wanted = json!({
        "Source": format!("{ECR}/source:1.0"),
        "Destinations": [
            {"Destination": format!("{OTHER_ECR}/team/app:1.0"), "RoleArn": ROLE, "ExternalId": "id"},
            format!("{ECR}/copy:1.0"),
        ],
        "CreateRepository": settings(),
        "PullAccess": {"Principals": ["333333333333"]},
    });
    let created = world.create(wanted.clone()).await.succeeded();
    let digest = staged.attribute("ImageDigest");
    assert_eq!(created.id(), format!("{OTHER_ECR}/team/app@{digest}"));
    assert_eq!(created.attribute("RegistryId"), OTHER_ACCOUNT);
    assert_eq!(created.attribute("Region"), "us-west-2");
    assert_eq!(
        created.attribute("Destinations.1.ImageUri"),
        format!("{ECR}/copy@{digest}")
    );
    assert!(world.own.manifest("copy", "1.0").await.is_some());
    assert!(world.own.manifest("team/app", "1.0").await.is_none());
    let there = world
        .other
        .manifest_with(OTHER_PASSWORD, "team/app", "1.0")
        .await;
    assert!(there.is_some());

    let named = json!({"repositoryNames": ["team/app"]});
    let described = world
        .other_ecr("DescribeRepositories", named.clone())
        .await
        .unwrap();
    let repository = &described["repositories"][0];
    assert_eq!(repository["registryId"], OTHER_ACCOUNT);
    assert_eq!(repository["imageTagMutability"], "IMMUTABLE_WITH_EXCLUSION");
    let filters = &repository["imageTagMutabilityExclusionFilters"];
    assert_eq!(filters[0]["filter"], "dev-*");
    assert_eq!(repository["imageScanningConfiguration"]["scanOnPush"], true);
    assert_eq!(
        repository["encryptionConfiguration"]["encryptionType"],
        "KMS"
    );
    let named = json!({"repositoryName": "team/app"});
    let policy = world
        .other_ecr("GetLifecyclePolicy", named.clone())
        .await
        .unwrap();
    let policy: Value = policy["lifecyclePolicyText"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(policy, lifecycle());
    let policy = world
        .other_ecr("GetRepositoryPolicy", named.clone())
        .await
        .unwrap();
    assert!(
        policy["policyText"]
            .as_str()
            .unwrap()
            .contains("333333333333")
    );
    let own = json!({"repositoryName": "copy"});
    assert!(
        world
            .moto
            .try_ecr("DescribeImages", json!({"repositoryName": "team/app"}))
            .await
            .is_err()
    );
    assert!(
        world
            .moto
            .try_ecr("GetRepositoryPolicy", own.clone())
            .await
            .is_ok()
    );

    world.cloud.delete(created.id(), &wanted).await.succeeded();
    assert!(world.other_ecr("GetRepositoryPolicy", named).await.is_err());
    assert!(
        world
            .moto
            .try_ecr("GetRepositoryPolicy", own)
            .await
            .is_err()
    );
    world.cloud.log();
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_policy_is_written_in_the_account_of_its_role() {
    let world = World::new().await;
    let named = json!({"repositoryName": "shared"});
    world
        .other_ecr("CreateRepository", named.clone())
        .await
        .unwrap();
    world.moto.ecr("CreateRepository", named.clone()).await;
    let properties = json!({
        "Repository": "arn:aws:ecr:us-west-2:210987654321:repository/shared",
        "Principals": ["333333333333"],
        "RoleArn": ROLE,
    });
    let event = |request: &str, id: &str| {
        json!({
            "RequestType": request,
            "RequestId": "the-request",
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/example/1",
            "LogicalResourceId": "Pull",
            "ResourceType": "Custom::ECRPullPolicy",
            "PhysicalResourceId": id,
            "ResourceProperties": properties,
        })
    };
    let created = world
        .cloud
        .send_event(event("Create", ""))
        .await
        .succeeded();
    assert_eq!(
        created.attribute("RepositoryUri"),
        format!("{OTHER_ECR}/shared")
    );
    let policy = world
        .other_ecr("GetRepositoryPolicy", named.clone())
        .await
        .unwrap();
    assert!(
        policy["policyText"]
            .as_str()
            .unwrap()
            .contains("333333333333")
    );
    assert!(
        world
            .moto
            .try_ecr("GetRepositoryPolicy", named.clone())
            .await
            .is_err()
    );

    let delete = event("Delete", created.id());
    world.cloud.send_event(delete).await.succeeded();
    assert!(world.other_ecr("GetRepositoryPolicy", named).await.is_err());
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn without_the_role_the_other_account_is_closed() {
    let world = World::new().await;
    let wanted = json!({
        "Source": "s3://images/example.tar",
        "Destination": format!("{ECR}/app:1.0"),
        "Destinations": [format!("{OTHER_ECR}/app:1.0")],
    });
    let failed = world.create(wanted).await;
    let reason = failed.failure();
    let expected = format!("The image is at {ECR}/app, and not at {OTHER_ECR}/app");
    assert!(
        reason.to_lowercase().contains(&expected.to_lowercase()),
        "{reason}"
    );
    assert!(world.own.manifest("app", "1.0").await.is_some());
    let there = world
        .other
        .manifest_with(OTHER_PASSWORD, "app", "1.0")
        .await;
    assert!(there.is_none());
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_repository_that_is_there_is_left_alone_and_its_differences_are_logged() {
    let world = World::new().await;
    let there = json!({"repositoryName": "app", "imageTagMutability": "MUTABLE"});
    world.moto.ecr("CreateRepository", there).await;
    let before = world.moto.ecr("DescribeRepositories", json!({})).await;
    let wanted = json!({
        "Source": "s3://images/example.tar",
        "Destination": format!("{ECR}/app:1.0"),
        "CreateRepository": settings(),
    });
    world.create(wanted).await.succeeded();
    assert_eq!(
        world.moto.ecr("DescribeRepositories", json!({})).await,
        before
    );
    let lines = world.cloud.log_lines();
    let told: Vec<&str> = lines
        .iter()
        .filter(|line| line["message"] == "the repository is left as it is")
        .map(|line| line["difference"].as_str().unwrap())
        .collect();
    assert_eq!(
        told[..3],
        [
            "image tag mutability: expected IMMUTABLE except dev-*, got MUTABLE",
            "scan on push: expected true, got false",
            "encryption: expected KMS, got AES256",
        ]
    );
    assert!(
        told[3].starts_with("lifecycle policy: expected {"),
        "{}",
        told[3]
    );
}
