//! Blobs of other repositories.

use super::*;

fn from(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test]
async fn a_mounted_blob_is_not_sent() {
    let server = Scripted::new(|request| {
        let known = request.target.contains("from=base");
        Reply::new(if known { 201 } else { 404 })
    })
    .await;
    let blob = memory(&noise(2 << 20));
    let candidates = from(&["other", "base"]);
    let pushed = server.repository().push_blob(&blob, &candidates).await;
    assert_eq!(pushed.unwrap(), Pushed::Mounted);
    let digest = Digest::sha256(&noise(2 << 20))
        .to_string()
        .replace(':', "%3A");
    let lines = server.lines();
    let asked = format!("POST /v2/app/blobs/uploads/?mount={digest}&from=base");
    assert_eq!(lines.last(), Some(&asked));
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn a_refusal_goes_on_in_the_session_that_it_opened() {
    let store = Store::default();
    let server = Scripted::new(move |request| store.answer(request)).await;
    let candidates = from(&["base"]);
    let pushed = server
        .repository()
        .push_blob(&memory(b"hello"), &candidates)
        .await;
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    let lines = server.lines();
    assert!(lines[0].contains("mount="), "{lines:?}");
    assert!(lines[1].starts_with("PUT "), "{lines:?}");
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn after_a_few_refusals_nobody_is_asked() {
    let store = Store::default();
    let server = Scripted::new(move |request| store.answer(request)).await;
    let repository = server.repository();
    let candidates = from(&["base"]);
    for byte in 0..5 {
        let blob = memory(&[byte]);
        repository.push_blob(&blob, &candidates).await.unwrap();
    }
    let asked = server.lines().into_iter();
    assert_eq!(asked.filter(|line| line.contains("mount=")).count(), 3);
}
