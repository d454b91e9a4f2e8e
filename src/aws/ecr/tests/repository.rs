use axum::http::StatusCode;
use serde_json::json;

use super::{HOST, host};
use crate::aws::Error;
use crate::aws::ecr::EcrRepository;
use crate::aws::stand_in::{Seen, StandIn, json, json_error};
use crate::oci::Digest;

async fn repository(ecr: &StandIn) -> EcrRepository {
    EcrRepository::new(&ecr.clients().await, &host(HOST), "team/app")
}

fn operations(ecr: &StandIn) -> Vec<String> {
    let seen = ecr.seen();
    seen.iter()
        .map(|request| request.operation().to_owned())
        .collect()
}

#[tokio::test]
async fn a_repository_is_looked_up_in_the_registrys_account() {
    let ecr = StandIn::start(|request| {
        if request.json()["repositoryNames"][0] == "team/app" {
            let repositories =
                serde_json::json!({"repositories": [{"repositoryName": "team/app"}]});
            return json(StatusCode::OK, &repositories);
        }
        json_error(400, "RepositoryNotFoundException", "not in the registry")
    })
    .await;
    let clients = ecr.clients().await;
    assert!(
        EcrRepository::new(&clients, &host(HOST), "team/app")
            .exists()
            .await
            .unwrap()
    );
    assert!(
        !EcrRepository::new(&clients, &host(HOST), "gone")
            .exists()
            .await
            .unwrap()
    );
    assert_eq!(ecr.seen()[0].json()["registryId"], "123456789012");
}

#[tokio::test]
async fn the_tags_of_an_image_are_told() {
    let digest = Digest::sha256(b"image");
    let asked = digest.to_string();
    let ecr = StandIn::start(move |request| {
        assert_eq!(request.json()["imageIds"][0]["imageDigest"], asked.as_str());
        json(
            StatusCode::OK,
            &json!({"imageDetails": [{"imageTags": ["a", "b"]}]}),
        )
    })
    .await;
    let tags = repository(&ecr).await.image_tags(&digest).await.unwrap();
    assert_eq!(tags.unwrap(), ["a", "b"]);

    let ecr = StandIn::start(|_| json_error(400, "ImageNotFoundException", "gone")).await;
    assert_eq!(
        repository(&ecr).await.image_tags(&digest).await.unwrap(),
        None
    );
}

fn failure(code: &'static str) -> impl Fn(&Seen) -> axum::http::Response<axum::body::Body> + Clone {
    move |_| {
        let failure = json!({"failureCode": code, "failureReason": "because"});
        json(
            StatusCode::OK,
            &json!({"imageIds": [], "failures": [failure]}),
        )
    }
}

#[tokio::test]
async fn what_is_gone_is_removed_already() {
    let ecr = StandIn::start(failure("ImageNotFound")).await;
    let repository = repository(&ecr).await;
    repository
        .delete_image(&Digest::sha256(b"image"))
        .await
        .unwrap();
    repository
        .delete_tag(&"latest".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(
        ecr.seen()[1].json()["imageIds"][0],
        json!({"imageTag": "latest"})
    );
    assert_eq!(operations(&ecr), ["BatchDeleteImage", "BatchDeleteImage"]);
}

#[tokio::test]
async fn an_image_that_an_index_names_is_not_removed() {
    let ecr = StandIn::start(failure("ImageReferencedByManifestList")).await;
    let error = repository(&ecr)
        .await
        .delete_image(&Digest::sha256(b"image"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "removing an image from repository team/app failed: an index in the repository still names it; remove that first"
    );
}
