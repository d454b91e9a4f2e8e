//! Uploads that break.

use super::*;
use crate::registry::testing::impatient;
use crate::registry::{Credentials, Error};

const SIZE: usize = 3 << 20;
const CUT: usize = 1 << 20;

/// Counts down; whether there was something left.
fn once(times: usize) -> impl Fn() -> bool + Send + Sync {
    let left = AtomicUsize::new(times);
    move || {
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        taken.is_ok()
    }
}

fn methods(server: &Scripted) -> Vec<String> {
    let requests = server.requests();
    requests.into_iter().map(|request| request.method).collect()
}

/// A server whose first PATCH is cut, with what it had until then in its store if it `keeps` it.
async fn cut_once(store: &Store, keeps: bool) -> Scripted {
    let first = once(1);
    let (cutting, answering) = (store.clone(), store.clone());
    Scripted::cutting(
        move |request| {
            let cut = request.method == "PATCH" && first();
            if cut && keeps {
                *cutting.0.lock().unwrap() = noise(SIZE)[..CUT].to_vec();
            }
            cut.then_some(CUT)
        },
        move |request| match request.method.as_str() {
            "GET" if !keeps => Reply::error(404, "BLOB_UPLOAD_UNKNOWN", ""),
            _ => answering.answer(request),
        },
    )
    .await
}

#[tokio::test]
async fn an_upload_cut_in_the_middle_goes_on_where_the_registry_is() {
    let store = Store::default();
    let server = cut_once(&store, true).await;
    let blob = memory(&noise(SIZE));
    server.repository().push_blob(&blob, &[]).await.unwrap();
    assert!(store.bytes() == noise(SIZE));
    let requests = server.requests();
    let again = &requests[3];
    assert_eq!(again.header("content-range"), Some("1048576-3145727"));
    assert_eq!(again.body.len(), SIZE - CUT);
    let methods: Vec<_> = requests.iter().map(|r| r.method.as_str()).collect();
    assert_eq!(methods, ["POST", "PATCH", "GET", "PATCH", "PUT"]);
}

#[tokio::test]
async fn an_upload_whose_session_is_lost_starts_again() {
    let store = Store::default();
    let server = cut_once(&store, false).await;
    let blob = memory(&noise(SIZE));
    server.repository().push_blob(&blob, &[]).await.unwrap();
    assert!(store.bytes() == noise(SIZE));
    assert_eq!(
        methods(&server),
        ["POST", "PATCH", "GET", "POST", "PATCH", "PUT"]
    );
}

#[tokio::test]
async fn a_blob_made_on_the_way_is_made_again_from_the_start() {
    let store = Store::default();
    let server = cut_once(&store, true).await;
    // More than sockets hold, so that the cut is noticed before the blob was read to its end.
    let blob = Computed::new(noise(24 << 20));
    server.repository().push_blob(&blob, &[]).await.unwrap();
    assert!(store.bytes() == blob.bytes);
    assert_eq!(methods(&server), ["POST", "PATCH", "POST", "PATCH", "PUT"]);
    assert_eq!(blob.opened.load(Ordering::Relaxed), 2);
}

/// A registry that stores what it gets and says that it did not.
#[tokio::test]
async fn a_range_that_lags_behind_costs_a_new_session_and_nothing_else() {
    let store = Store::default();
    let kept = store.clone();
    let fails = once(1);
    let server = Scripted::new(move |request| match request.method.as_str() {
        "PATCH" if fails() => {
            store.answer(request);
            Reply::new(500)
        }
        "GET" => Reply::new(204).header("Range", "0-0"),
        _ => store.answer(request),
    })
    .await;
    let blob = memory(&noise(SIZE));
    server.repository().push_blob(&blob, &[]).await.unwrap();
    assert!(kept.bytes() == noise(SIZE));
    let methods = methods(&server);
    assert_eq!(methods.iter().filter(|method| *method == "POST").count(), 2);
}

#[tokio::test]
async fn bytes_that_do_not_add_up_after_a_resume_are_sent_again() {
    let store = Store::default();
    let kept = store.clone();
    let fails = once(1);
    let server = Scripted::new(move |request| match request.method.as_str() {
        "PATCH" if fails() => {
            store.0.lock().unwrap().extend(vec![0; CUT]);
            Reply::new(502)
        }
        _ => store.answer(request),
    })
    .await;
    let blob = memory(&noise(SIZE));
    server.repository().push_blob(&blob, &[]).await.unwrap();
    assert!(kept.bytes() == noise(SIZE));
}

#[tokio::test]
async fn a_registry_that_never_takes_a_blob_is_given_up() {
    let server = Scripted::new(|request| match request.method.as_str() {
        "POST" => Reply::new(202).header("Location", "/v2/app/blobs/uploads/1"),
        "PATCH" => Reply::new(503),
        _ => Reply::new(404),
    })
    .await;
    let blob = memory(&noise(SIZE));
    let error = server.repository().push_blob(&blob, &[]).await.unwrap_err();
    assert!(
        error.to_string().contains("gave up after 4 attempts"),
        "{error}"
    );
    assert!(!error.is_retryable());
    let patches = methods(&server)
        .into_iter()
        .filter(|method| method == "PATCH");
    assert_eq!(patches.count(), 4);
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_asked_again() {
    let store = Store::default();
    let kept = store.clone();
    let mute = once(1);
    let server = Scripted::new(move |request| match request.method.as_str() {
        "PATCH" if mute() => Reply::mute(),
        _ => store.answer(request),
    })
    .await;
    let repository = server.repository_with(impatient());
    let blob = memory(&noise(SIZE));
    repository.push_blob(&blob, &[]).await.unwrap();
    assert!(kept.bytes() == noise(SIZE));
    assert_eq!(methods(&server)[..3], ["POST", "PATCH", "GET"]);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_not_repeated_once_the_blob_is_there() {
    let store = Store::default();
    let server = Scripted::new(move |request| match request.method.as_str() {
        "PUT" => Reply::new(504),
        "HEAD" => Reply::new(200).header("Content-Length", &SIZE.to_string()),
        _ => store.answer(request),
    })
    .await;
    let blob = memory(&noise(SIZE));
    server.repository().push_blob(&blob, &[]).await.unwrap();
    assert_eq!(methods(&server), ["POST", "PATCH", "PUT", "HEAD"]);
}

#[tokio::test]
async fn credentials_that_expire_in_the_middle_are_renewed() {
    let store = Store::default();
    let issued = AtomicUsize::new(0);
    let server = Scripted::new(move |request| {
        let host = request.header("host").unwrap();
        let challenge = format!(r#"Bearer realm="http://{host}/token""#);
        if request.target.starts_with("/token") {
            let number = issued.fetch_add(1, Ordering::Relaxed);
            return Reply::new(200).body(format!(r#"{{"token":"t{number}"}}"#));
        }
        match (request.header("authorization"), request.method.as_str()) {
            (None, _) | (Some("Bearer t0"), "PATCH") => {
                Reply::new(401).header("WWW-Authenticate", &challenge)
            }
            (_, "GET") => Reply::new(204).header("Range", "0-0"),
            _ => store.answer(request),
        }
    })
    .await;
    let repository = server.repository_for(Arc::new(Credentials::basic("me", "secret")));
    let blob = memory(&noise(SIZE));
    repository.push_blob(&blob, &[]).await.unwrap();
    let patches = server
        .requests()
        .into_iter()
        .filter(|r| r.method == "PATCH");
    let tokens: Vec<_> = patches
        .map(|r| r.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(tokens, ["Bearer t0", "Bearer t1"]);
}

#[tokio::test]
async fn an_upload_at_another_origin_gets_no_authorization() {
    let store = Store::default();
    let storage = Scripted::new(move |request| match request.header("authorization") {
        Some(_) => Reply::new(400),
        None => store.answer(request),
    })
    .await;
    let location = storage.url("/elsewhere?signature=1");
    let server = Scripted::new(move |request| match request.header("authorization") {
        None => Reply::new(401).header("WWW-Authenticate", "Basic realm=x"),
        Some(_) => Reply::new(202).header("Location", &location),
    })
    .await;
    let repository = server.repository_for(Arc::new(Credentials::basic("me", "secret")));
    repository.push_blob(&memory(b"hello"), &[]).await.unwrap();
    let lines = storage.lines();
    assert!(
        lines[0].starts_with("PUT /elsewhere?signature=1&digest="),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_source_that_fails_is_not_the_registrys_fault() {
    struct Failing;
    impl Opener for Failing {
        fn descriptor(&self) -> Option<Descriptor> {
            None
        }
        fn open(&self, _offset: u64) -> BoxFuture<'_, content::Result<ByteStream>> {
            let pieces = [
                Ok(Bytes::from_static(b"some")),
                Err(content::Error::Size {
                    expected: 10,
                    actual: 4,
                }),
            ];
            Box::pin(async { Ok(stream::iter(pieces).boxed()) })
        }
    }
    let store = Store::default();
    let server = Scripted::new(move |request| store.answer(request)).await;
    let error = server
        .repository()
        .push_blob(&Failing, &[])
        .await
        .unwrap_err();
    assert!(
        matches!(error, content::Error::Size { expected: 10, .. }),
        "{error}"
    );
    let committed = methods(&server).into_iter().any(|method| method == "PUT");
    assert!(!committed);
}

#[tokio::test]
async fn a_registry_that_refuses_large_bodies_gets_chunks() {
    const LIMIT: usize = 5 << 20;
    let store = Store::default();
    let kept = store.clone();
    let server = Scripted::new(move |request| match request.method.as_str() {
        "POST" => store
            .answer(request)
            .header("OCI-Chunk-Min-Length", "2097152"),
        "PATCH" if request.body.len() > LIMIT => Reply::new(413),
        _ => store.answer(request),
    })
    .await;
    let repository = server.repository();
    let bytes = noise(9 << 20);
    repository.push_blob(&memory(&bytes), &[]).await.unwrap();
    assert!(kept.bytes() == bytes);
    let sent = |server: &Scripted| -> Vec<(usize, Option<String>)> {
        let patches = server
            .requests()
            .into_iter()
            .filter(|r| r.method == "PATCH");
        patches
            .map(|r| (r.body.len(), r.header("content-range").map(str::to_owned)))
            .collect()
    };
    let tried: Vec<_> = sent(&server)
        .into_iter()
        .map(|(length, _)| length)
        .collect();
    assert_eq!(tried, [9 << 20, 8 << 20, 4 << 20, 4 << 20, 1 << 20]);

    repository
        .push_blob(&Computed::new(bytes), &[])
        .await
        .unwrap();
    let ranges: Vec<_> = sent(&server)
        .into_iter()
        .filter_map(|(_, range)| range)
        .collect();
    assert_eq!(
        ranges,
        ["0-4194303", "4194304-8388607", "8388608-9437183"],
        "what one blob has taught is known to the next"
    );
}

#[tokio::test]
async fn a_refused_upload_says_why() {
    let server = Scripted::new(|_| Reply::error(404, "NAME_UNKNOWN", "no such repository")).await;
    let error = server.repository().push_blob(&memory(b"x"), &[]).await;
    let error = error.unwrap_err();
    let refused = error.downcast_ref::<Error>().unwrap();
    assert!(
        refused.has_code(&crate::registry::ErrorCode::NAME_UNKNOWN),
        "{refused}"
    );
    assert_eq!(methods(&server), ["POST"]);
}
