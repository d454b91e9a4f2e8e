//! The real parts are what the other tests take them for.

use serde_json::json;

use crate::support::{DockerRegistry, Moto, PASSWORD};

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn the_registry_takes_only_the_password_that_ecr_gives() {
    let registry = DockerRegistry::start();
    let anonymous = reqwest::get(format!("{}/v2/", registry.url()))
        .await
        .unwrap();
    assert_eq!(anonymous.status(), reqwest::StatusCode::UNAUTHORIZED);
    assert!(registry.manifest("example", "1.0").await.is_none());

    let moto = Moto::start();
    let answer = moto.ecr("GetAuthorizationToken", json!({})).await;
    let token = answer["authorizationData"][0]["authorizationToken"]
        .as_str()
        .unwrap();
    let token = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, token).unwrap();
    assert_eq!(token, format!("AWS:{PASSWORD}").as_bytes());
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn moto_keeps_objects() {
    let moto = Moto::start();
    moto.create_bucket("images").await;
    moto.put_object("images", "app.tar", b"bytes".to_vec())
        .await;
    assert!(moto.log().contains("PUT /images/app.tar HTTP/1.1\" 200"));
}
