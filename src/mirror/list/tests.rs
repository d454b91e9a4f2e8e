//! Lists as users write them, and what they are told.

use serde_json::{Value, json};

use super::*;
use crate::oci::{Digest, Tag};

const LIST: &str = r#"
x-rule: &rule
  tags: {semver: ">=1.29 <2", newest: 2}
version: 1
defaults:
  template: "{registry}/mirror/{repository}:{tag}"
  destinations:
    - registry: 123456789012.dkr.ecr.eu-west-1.amazonaws.com
    - registry: 210987654321.dkr.ecr.us-east-1.amazonaws.com
      roleArn: arn:aws:iam::210987654321:role/mirror
      externalId: x1
  createRepository: true
registries:
  docker.io: {maxConcurrency: 4, requestsPerSecond: 0.5, credentials: hub}
prune: {maxShare: 10}
toleratedFailurePercentage: 5
sync:
  - source: public.ecr.aws/nginx/nginx:1.27
  - <<: *rule
    source: nginx
    platforms: [linux/amd64]
  - source: quay.io/prometheus/node-exporter
    type: repository
    tags: {allow: ["v1.*"], deny: [".*-rc.*"]}
    Destination: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/exporter
    referrers: true
"#;

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn read(text: &str) -> List {
    List::read(text).unwrap_or_else(|invalid| panic!("{invalid}"))
}

#[test]
fn a_list_is_read() {
    let list = read(LIST);
    assert_eq!(list.tolerated_failure_percentage, 5);
    assert_eq!(list.prune, Some(Prune { max_share: 10 }));
    let hub = &list.registries["docker.io"];
    assert_eq!(hub.max_concurrency.unwrap().get(), 4);
    assert_eq!(hub.requests_per_second, Some(0.5));
    let [image, nginx, exporter] = list.entries.as_slice() else {
        panic!("{:?}", list.entries);
    };
    assert_eq!(image.line(), Some(18));
    let digest = Digest::sha256(b"a");
    assert_eq!(
        Value::Object(image.properties(None, Some(&digest)).unwrap()),
        json!({
            "Source": format!("public.ecr.aws/nginx/nginx:1.27@{digest}"),
            "CreateRepository": true,
            "Destinations": [
                {
                    "Destination": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror/nginx/nginx",
                    "Tags": ["1.27"],
                },
                {
                    "Destination": "210987654321.dkr.ecr.us-east-1.amazonaws.com/mirror/nginx/nginx",
                    "Tags": ["1.27"],
                    "RoleArn": "arn:aws:iam::210987654321:role/mirror",
                    "ExternalId": "x1",
                },
            ],
        })
    );
    let known = tags(&[
        "1",
        "1.28.9",
        "1.29.0",
        "1.29.1-alpine",
        "1.30.2",
        "1.30.10",
        "latest",
    ]);
    assert_eq!(nginx.select(&known), [&known[4], &known[5]]);
    let properties = nginx.properties(Some(&known[4]), Some(&digest)).unwrap();
    assert_eq!(properties["SourceCredentials"], "hub");
    assert_eq!(properties["Platforms"], json!(["linux/amd64"]));
    assert_eq!(
        properties["Destinations"][0]["Destination"],
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror/library/nginx"
    );
    let known = tags(&["v1.8.0", "v1.9.0-rc.1", "master"]);
    assert_eq!(exporter.select(&known), [&known[0]]);
    let targets = exporter.destinations(Some(&known[0])).unwrap();
    assert_eq!(targets.len(), 1);
    assert_eq!(targets[0].tags, [known[0].clone()]);
}
