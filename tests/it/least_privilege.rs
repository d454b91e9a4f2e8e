//! A role needs what docs/iam.md says, and no more: deployments are made on the embedded
//! stand-ins, every call is recorded, and each must be in the row of the property that it is for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use longshore::aws::Clients;
use longshore::deploy::{
    Credentials, Deploy, Gave, Image, Memo, MemoPlace, Mutability, PolicyPart, PushedImage,
    RepositorySettings, Role,
};
use longshore::local::{EnvironmentOptions, RegistryOptions, RequestRecord};
use longshore::policy::{Grants, Owner, Principals};
use longshore::redact::Secret;
use tokio::time::Instant;

use crate::support::{Archive, Bench, HOST, image};

const PUSH: &str = "`Destination`, `Destinations`: a repository of ECR";
const PULL: &str = "`Source`, `ReuseFrom`: a repository of ECR";
const TOKEN: &str = "any of these";
const ARCHIVE: &str = "`Source`: an archive in S3";
const SECRET: &str = "`SourceCredentials`, `DestinationCredentials`, `Credentials`, `SrcCreds`, \
                      `DestCreds`: a secret";
const ROLE: &str = "`SourceRoleArn`, `DestinationRoleArn`, `RoleArn`";
const CREATE: &str = "`CreateRepository`";
const LIFECYCLE: &str = "`CreateRepository` with `LifecyclePolicyText`";
const REMOVE: &str = "`RemovalPolicy`: `delete`";
const GRANT: &str = "`PullAccess`, `Custom::ECRPullPolicy`, `longshore grant`";
const NOTE: &str = "the note of an Update for its \
                    [rollback](resource-reference.md#life-of-customecrimage); without it, the note stays";
const CONTINUE: &str = "work that takes longer than one invocation";

/// Actions of the table that no call here shows: the stand-ins have no versions, keys, caches and
/// public registry, and the services ask for some behind other calls.
const NOT_SEEN: [&str; 9] = [
    "ecr:BatchImportUpstreamImage",
    "ecr-public:GetAuthorizationToken",
    "sts:GetServiceBearerToken",
    "s3:GetObjectVersion",
    "kms:Decrypt",
    "ecr:TagResource",
    "kms:CreateGrant",
    "kms:DescribeKey",
    "kms:RetireGrant",
];

const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/push";
const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:images";

/// The table of docs/iam.md: what each row allows.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/iam.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, rest) = page.split_once("## By property\n").unwrap();
    let rows = rest.lines().take_while(|line| !line.starts_with('#'));
    let cells = rows.filter_map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, property, actions, _, _] = cells[..] else {
            return None;
        };
        let actions = actions.split('`').skip(1).step_by(2);
        Some((property.to_owned(), actions.map(str::to_owned).collect()))
    });
    cells.collect()
}

/// One call: the action, and what it is for.
type Call = (String, String);

/// Everything that was asked of the stand-ins so far, as IAM would see it.
fn calls(bench: &Bench) -> BTreeSet<Call> {
    let api = bench.environment.aws.calls().into_iter().map(|call| {
        let resource = call.resource.unwrap_or_else(|| "*".to_owned());
        (call.action, resource)
    });
    let objects = bench.environment.bucket.requests().into_iter();
    let objects = objects.map(|request| {
        assert!(
            ["GET", "HEAD"].contains(&request.method.as_str()),
            "{request:?}"
        );
        ("s3:GetObject".to_owned(), request.repository.unwrap())
    });
    let registry = bench.registry_requests();
    let registry = registry.iter().filter(|request| request.status != 401);
    let registry = registry.flat_map(|request| {
        let name = request.repository.clone().unwrap_or_default();
        let actions = actions_behind(request).iter();
        actions.map(move |action| ((*action).to_owned(), name.clone()))
    });
    api.chain(objects).chain(registry).collect()
}

/// What a request to a registry of ECR takes.
fn actions_behind(request: &RequestRecord) -> &'static [&'static str] {
    let is = |part: &str| request.path.contains(part);
    match request.method.as_str() {
        "GET" if request.path == "/v2/" => &[],
        "HEAD" | "GET" if is("/manifests/") || is("/referrers/") => &["ecr:BatchGetImage"],
        "HEAD" if is("/blobs/") => &["ecr:BatchCheckLayerAvailability"],
        "GET" if is("/blobs/sha256") => &["ecr:GetDownloadUrlForLayer"],
        "POST" if is("/blobs/uploads/") => &["ecr:InitiateLayerUpload"],
        "GET" | "PATCH" if is("/blobs/uploads/") => &["ecr:UploadLayerPart"],
        "PUT" if is("/blobs/uploads/") => &["ecr:CompleteLayerUpload", "ecr:UploadLayerPart"],
        "PUT" if is("/manifests/") => &["ecr:PutImage"],
        _ => panic!("no action is known for {request:?}"),
    }
}

/// What may be called: for each resource, the rows of the properties that name it.
struct Allowed<'a>(&'a [(&'a str, &'a [&'a str])]);

/// Fails for each call that is in no row of its resource.
fn check(bench: &Bench, allowed: &Allowed<'_>, seen: &mut BTreeSet<Call>) {
    let table = table();
    for (action, resource) in calls(bench) {
        let rows = allowed.0.iter().filter(|(name, _)| *name == resource);
        let mut rows = rows.flat_map(|(_, rows)| *rows);
        let row = rows.find(|row| {
            let actions = table.get(**row);
            let actions = actions.unwrap_or_else(|| panic!("docs/iam.md has no row {row:?}"));
            actions.contains(&action)
        });
        let row = row.unwrap_or_else(|| panic!("docs/iam.md lacks {action} for {resource}"));
        seen.insert(((*row).to_owned(), action));
    }
    bench.environment.aws.reset();
    bench.environment.bucket.reset();
    bench.environment.registry.reset();
}

/// ECR, which lets in only who has a token.
async fn bench() -> Bench {
    let mut options = EnvironmentOptions {
        registry: RegistryOptions::ecr(Secret::new("token")),
        ..EnvironmentOptions::default()
    };
    let secrets = &mut options.aws.secrets;
    secrets.insert("login".to_owned(), Secret::new("AWS:token"));
    Bench::with(options).await
}

fn archive(seed: u64) -> Vec<u8> {
    let mut large = vec![0; 6 << 20];
    fastrand::Rng::with_seed(seed).fill(&mut large);
    Archive::of(&[b"small", &large]).tar()
}

fn creating(source: &str, destination: &str) -> Image {
    Image {
        create_repository: Some(RepositorySettings {
            mutability: Some(Mutability::Mutable(Vec::new())),
            scan_on_push: Some(true),
            lifecycle_policy: Some(r#"{"rules":[]}"#.to_owned()),
            ..RepositorySettings::default()
        }),
        ..image(source, destination)
    }
}

#[tokio::test]
async fn every_call_is_in_the_row_of_its_property() {
    let bench = bench().await;
    let mut seen = BTreeSet::new();
    let source = bench.stage("app.tar", &archive(1));

    // An archive into a repository that is made for it, and again.
    let wanted = creating(&source, "app:1");
    let (deployed, _) = bench.deploy(&wanted).await;
    let allowed = Allowed(&[
        ("images", &[ARCHIVE]),
        ("app", &[PUSH, CREATE, LIFECYCLE]),
        ("*", &[TOKEN]),
    ]);
    check(&bench, &allowed, &mut seen);
    bench.deploy(&wanted).await;
    check(&bench, &allowed, &mut seen);

    // From one repository to another, with what refers to it, under a role and with a secret.
    let api = &bench.environment.registry;
    for name in ["mirror", "next"] {
        api.create_repository(name).await.unwrap();
    }
    let mut wanted = image(&format!("{HOST}/app:1"), "mirror:1");
    wanted.referrers = longshore::deploy::Referrers::Copy;
    wanted.source_access.credentials = Some(Credentials::Stored("login".to_owned()));
    wanted.targets[0].access.role = Some(Role {
        arn: ROLE_ARN.to_owned(),
        external_id: None,
        purpose: "stack/Image".to_owned(),
    });
    bench.deploy(&wanted).await;
    let allowed = Allowed(&[
        ("app", &[PULL]),
        ("mirror", &[PUSH]),
        ("login", &[SECRET]),
        (ROLE_ARN, &[ROLE]),
        ("*", &[TOKEN]),
    ]);
    check(&bench, &allowed, &mut seen);

    // An archive that shares layers with an image elsewhere.
    let other = bench.stage("next.tar", &Archive::of(&[b"other", b"small"]).tar());
    let mut wanted = image(&other, "next:1");
    wanted.reuse_from = vec![format!("{HOST}/app:1").parse().unwrap()];
    bench.deploy(&wanted).await;
    let allowed = Allowed(&[
        ("images", &[ARCHIVE]),
        ("app", &[PULL]),
        ("next", &[PUSH]),
        ("*", &[TOKEN]),
    ]);
    check(&bench, &allowed, &mut seen);

    // Who may pull.
    let part = PolicyPart {
        repository: deployed.first().repository.clone(),
        owner: Owner::new("stack", "Image"),
        access: longshore::deploy::Access::default(),
    };
    let grants = Grants {
        principals: vec![Principals::always(vec!["210987654321".parse().unwrap()])],
        ..Grants::default()
    };
    let deadline = Instant::now() + Duration::from_mins(1);
    bench
        .deployer
        .grant(&part, &grants, deadline)
        .await
        .unwrap();
    bench.deployer.revoke(&part, deadline).await.unwrap();
    check(&bench, &Allowed(&[("app", &[GRANT])]), &mut seen);

    // Tags and images that go.
    let mut pushed = PushedImage {
        repository: deployed.first().repository.clone(),
        digest: deployed.digest.clone(),
        tags: vec!["1".parse().unwrap()],
        kept: Vec::new(),
        access: longshore::deploy::Access::default(),
    };
    let removing = Allowed(&[("app", &[REMOVE]), ("*", &[TOKEN])]);
    pushed.tags.push("not-there".parse().unwrap());
    bench.deployer.untag(&pushed).await.unwrap();
    check(&bench, &removing, &mut seen);
    bench.deployer.remove(&pushed).await.unwrap();
    check(&bench, &removing, &mut seen);

    let api = bench.environment.aws.base_url();
    let clients = Clients::local(&api, &api).await;
    clients
        .invoke_later(FUNCTION, "{}".to_owned())
        .await
        .unwrap();
    check(&bench, &Allowed(&[(FUNCTION, &[CONTINUE])]), &mut seen);

    // What an Update notes for its rollback.
    let place = MemoPlace {
        repository: deployed.first().repository.clone(),
        tag: "longshore-rollback-1".parse().unwrap(),
        access: longshore::deploy::Access::default(),
    };
    let gave = Gave {
        properties: deployed.digest.clone(),
        image: deployed.digest.clone(),
    };
    let noting = Allowed(&[("app", &[PUSH, NOTE]), ("*", &[TOKEN])]);
    bench
        .deployer
        .note(&place, &Memo(vec![gave]))
        .await
        .unwrap();
    bench.deployer.forget(&place).await.unwrap();
    check(&bench, &noting, &mut seen);

    nothing_is_allowed_that_is_not_called(&seen);
}

/// Every action of the table was called for its row, those aside that cannot be.
fn nothing_is_allowed_that_is_not_called(seen: &BTreeSet<Call>) {
    let unused: Vec<String> = table()
        .into_iter()
        .flat_map(|(row, actions)| actions.into_iter().map(move |action| (row.clone(), action)))
        .filter(|(row, action)| {
            let cache = row.contains("pull-through cache");
            // These rows are of the command line, not of a deployment.
            let command = row.contains("longshore build") || row.contains("longshore publish");
            // The stand-ins have no state machines: tests/it/mirror/resource.rs has them.
            let mirror = row.contains("mirror") || row.contains("ECRMirror");
            !cache && !command && !mirror && !NOT_SEEN.contains(&action.as_str())
        })
        .filter(|call| !seen.contains(call))
        .map(|(row, action)| format!("{action} for {row}"))
        .collect();
    assert!(unused.is_empty(), "allowed and never called: {unused:#?}");
}

#[test]
fn a_call_that_the_table_lacks_is_noticed() {
    let table = table();
    assert!(table.len() > 15, "{table:?}");
    assert!(table[PUSH].contains("ecr:PutImage"));
    assert!(!table[PULL].contains("ecr:PutImage"));
}
