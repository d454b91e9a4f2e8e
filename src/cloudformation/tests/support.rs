//! What the tests of the handler put in the place of its neighbours.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response as AxumResponse};
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::cloudformation::{Delivery, Error, Handler, Invocation};
use crate::content::{BoxError, MemoryObject, RangeRead};
use crate::copy::{Meter, MeteredObject, Phase};
use crate::deploy::{
    Deploy, Deployed, Granted, Image, Memo, MemoPlace, Place, PolicyPart, PushedImage, Target,
    arn_of,
};
use crate::oci::{Descriptor, Digest, MediaType};
use crate::policy::Grants;

pub(super) const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:images";
pub(super) const REPOSITORY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app";

/// Takes answers as CloudFormation's bucket does.
pub(super) struct Receiver {
    address: SocketAddr,
    state: Arc<Received>,
}

#[derive(Default)]
struct Received {
    answers: Mutex<Vec<Put>>,
    statuses: Mutex<Vec<u16>>,
    /// The number of more PUTs that are answered by a page.
    pages: AtomicUsize,
}

pub(super) struct Put {
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
    pub(super) body: Value,
}

impl Receiver {
    /// A receiver that answers `statuses` in turn, and 200 after them.
    pub(super) async fn answering(statuses: &[u16]) -> Self {
        let state = Arc::new(Received::default());
        state.statuses.lock().unwrap().extend(statuses.iter().rev());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(take).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, state }
    }

    pub(super) async fn new() -> Self {
        Self::answering(&[]).await
    }

    /// Answers the next so many PUTs with a sign-in page and 200.
    pub(super) fn show_page(&self, times: usize) {
        self.state.pages.store(times, Ordering::SeqCst);
    }

    pub(super) fn url(&self) -> String {
        format!(
            "http://{}/arn%3Aaws%3Astack%7CImage%7C1?X-Amz-Signature=hidden%2Bsignature%3D",
            self.address
        )
    }

    pub(super) fn puts(&self) -> Vec<Put> {
        std::mem::take(&mut self.state.answers.lock().unwrap())
    }

    /// The one answer that came.
    pub(super) fn answer(&self) -> Value {
        let puts = self.puts();
        assert_eq!(puts.len(), 1, "answers");
        puts.into_iter().next().unwrap().body
    }
}

async fn take(
    State(state): State<Arc<Received>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> AxumResponse {
    let text = String::from_utf8(body.to_vec()).unwrap();
    state.answers.lock().unwrap().push(Put {
        method,
        uri: uri.to_string(),
        headers,
        body: serde_json::from_str(&text).unwrap(),
        text,
    });
    let page = |left: usize| left.checked_sub(1);
    let pages = &state.pages;
    if pages
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, page)
        .is_ok()
    {
        return Html("<html>Sign in</html>").into_response();
    }
    let status = state.statuses.lock().unwrap().pop().unwrap_or(200);
    StatusCode::from_u16(status).unwrap().into_response()
}

/// What [`Scripted`] does with an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Script {
    /// Deploys content that the source decides.
    #[default]
    Succeed,
    Fail,
    /// Deploys only what is known, since the source is gone.
    Gone,
    /// Deploys, but cannot note anything for a rollback.
    FailToNote,
    /// Deploys, but cannot grant.
    FailToGrant,
    Panic,
    Hang,
    /// Stores one layer an invocation, of this many.
    Slow(usize),
}

/// Does not deploy, but keeps what it was asked.
#[derive(Default)]
pub(super) struct Scripted {
    pub(super) script: Mutex<Script>,
    pub(super) deployed: Mutex<Vec<Image>>,
    pub(super) removed: Mutex<Vec<PushedImage>>,
    pub(super) untagged: Mutex<Vec<PushedImage>>,
    pub(super) memos: Mutex<BTreeMap<String, Memo>>,
    pub(super) granted: Mutex<Vec<(PolicyPart, Grants)>>,
    pub(super) revoked: Mutex<Vec<PolicyPart>>,
}

impl Deploy for Scripted {
    fn deploy<'a>(
        &'a self,
        image: &'a Image,
        meter: &'a Arc<Meter>,
    ) -> BoxFuture<'a, Result<Deployed, BoxError>> {
        self.deployed.lock().unwrap().push(image.clone());
        let script = *self.script.lock().unwrap();
        let object = Arc::new(MemoryObject::new("archive", vec![0; 2 << 20]));
        let object = MeteredObject::new(object, meter.clone());
        Box::pin(meter.time(Phase::Blobs, async move {
            let bytes = object.read(0..object.size()).await?;
            bytes.try_collect::<Vec<_>>().await?;
            match script {
                Script::Succeed | Script::FailToGrant | Script::FailToNote => Ok(deployed(image)),
                Script::Gone => match &image.known {
                    Some(known) => Ok(Deployed {
                        digest: known.clone(),
                        ..deployed(image)
                    }),
                    None => Err("there is no such object".into()),
                },
                Script::Fail => {
                    Err("access denied, add ecr:PutImage: see https://host/p?token=hidden".into())
                }
                Script::Panic => panic!("index out of bounds"),
                Script::Hang => std::future::pending().await,
                Script::Slow(layers) => {
                    store_one_more(image, meter);
                    if meter.checkpoint().layers.len() < layers {
                        std::future::pending::<()>().await;
                    }
                    Ok(deployed(image))
                }
            }
        }))
    }

    fn remove<'a>(&'a self, pushed: &'a PushedImage) -> BoxFuture<'a, Result<(), BoxError>> {
        self.removed.lock().unwrap().push(pushed.clone());
        let failed = *self.script.lock().unwrap() == Script::Fail;
        Box::pin(async move {
            if failed {
                return Err("access denied".into());
            }
            Ok(())
        })
    }

    fn untag<'a>(&'a self, pushed: &'a PushedImage) -> BoxFuture<'a, Result<(), BoxError>> {
        self.untagged.lock().unwrap().push(pushed.clone());
        Box::pin(async { Ok(()) })
    }

    fn recall<'a>(&'a self, place: &'a MemoPlace) -> BoxFuture<'a, Result<Memo, BoxError>> {
        let memos = self.memos.lock().unwrap();
        let memo = memos.get(&place.repository.tagged(&place.tag).to_string());
        let memo = memo.cloned().unwrap_or_default();
        Box::pin(async { Ok(memo) })
    }

    fn note<'a>(
        &'a self,
        place: &'a MemoPlace,
        memo: &'a Memo,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        if *self.script.lock().unwrap() == Script::FailToNote {
            return Box::pin(async { Err("access denied".into()) });
        }
        let at = place.repository.tagged(&place.tag).to_string();
        self.memos.lock().unwrap().insert(at, memo.clone());
        Box::pin(async { Ok(()) })
    }

    fn forget<'a>(&'a self, place: &'a MemoPlace) -> BoxFuture<'a, Result<(), BoxError>> {
        let at = place.repository.tagged(&place.tag).to_string();
        self.memos.lock().unwrap().remove(&at);
        Box::pin(async { Ok(()) })
    }

    fn grant<'a>(
        &'a self,
        part: &'a PolicyPart,
        grants: &'a Grants,
        _deadline: Instant,
    ) -> BoxFuture<'a, Result<Granted, BoxError>> {
        let granted = (part.clone(), grants.clone());
        self.granted.lock().unwrap().push(granted);
        let script = *self.script.lock().unwrap();
        let failed = matches!(script, Script::Fail | Script::FailToGrant);
        Box::pin(async move {
            if failed {
                return Err("access denied".into());
            }
            let own = grants.statements(&part.owner, "aws")?;
            Ok(Granted {
                repository_arn: arn_of(&part.repository).unwrap(),
                policy: "{}".to_owned(),
                sids: own.iter().map(|own| own.sid().to_owned()).collect(),
                writes: 1,
            })
        })
    }

    fn revoke<'a>(
        &'a self,
        part: &'a PolicyPart,
        _deadline: Instant,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        self.revoked.lock().unwrap().push(part.clone());
        let failed = *self.script.lock().unwrap() == Script::Fail;
        Box::pin(async move {
            if failed {
                return Err("access denied".into());
            }
            Ok(())
        })
    }
}

/// Finds the layers of the invocations before, and stores one more.
fn store_one_more(image: &Image, meter: &Meter) {
    let before = &image.resume.layers;
    for layer in before {
        meter.stored(&layer.diff_id, &layer.blob);
    }
    let name = format!("layer {}", before.len());
    let digest = Digest::sha256(name.as_bytes());
    let blob = Descriptor::new(MediaType::OCI_LAYER_GZIP, digest.clone(), 4);
    meter.stored(&digest, &blob);
    meter.count(|report| {
        report.blobs_reused = before.len() as u64;
        report.blobs_uploaded = 1;
    });
}

/// The digest of what a source gives.
pub(super) fn digest_of(source: &str) -> Digest {
    Digest::sha256(source.as_bytes())
}

/// The physical ID of the image that a source gives.
pub(super) fn uri_of(source: &str) -> String {
    format!("{REPOSITORY}@{}", digest_of(source))
}

fn deployed(image: &Image) -> Deployed {
    let place = |target: &Target| Place {
        repository: target.repository.clone(),
        registry_id: "123456789012".to_owned(),
        region: "eu-west-1".to_owned(),
        tags: target.tags.clone(),
    };
    Deployed {
        places: image.targets.iter().map(place).collect(),
        digest: digest_of(&image.source.to_string()),
        media_type: MediaType::OCI_MANIFEST,
        size: 42,
        config: Some(digest_of("config")),
        platforms: vec!["linux/amd64".parse().unwrap()],
    }
}

/// The handler, its neighbours, and one call to it.
pub(super) struct Scene {
    pub(super) deploy: Arc<Scripted>,
    pub(super) receiver: Receiver,
    pub(super) handler: Handler,
    pub(super) time: Duration,
}

impl Scene {
    pub(super) async fn new(script: Script) -> Self {
        Self::with(script, Receiver::new().await)
    }

    pub(super) fn with(script: Script, receiver: Receiver) -> Self {
        let deploy = Arc::new(Scripted::default());
        *deploy.script.lock().unwrap() = script;
        Self {
            handler: Handler::new(deploy.clone(), Delivery::new(true).unwrap()),
            deploy,
            receiver,
            time: Duration::from_mins(15),
        }
    }

    /// An event of CloudFormation with these fields changed.
    pub(super) fn event(&self, fields: Value) -> Value {
        let mut event = json!({
            "RequestType": "Create",
            "ResponseURL": self.receiver.url(),
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/web/1",
            "RequestId": "request-1",
            "LogicalResourceId": "Image",
            "ResourceType": "Custom::ECRImage",
            "ResourceProperties": {
                "ServiceToken": FUNCTION,
                "Source": "s3://bucket/image.tar",
                "Destination": format!("{REPOSITORY}:v1"),
            },
        });
        let Value::Object(fields) = fields else {
            panic!("{fields}")
        };
        for (name, value) in fields {
            event[name] = value;
        }
        event
    }

    pub(super) async fn send(&self, fields: Value) -> Result<Value, Error> {
        self.send_raw(&self.event(fields).to_string()).await
    }

    pub(super) async fn send_raw(&self, event: &str) -> Result<Value, Error> {
        let invocation = Invocation {
            id: "invocation-1".to_owned(),
            deadline: Instant::now() + self.time,
            function: FUNCTION.to_owned(),
            log_group: "/aws/lambda/images".to_owned(),
        };
        let event = RawValue::from_string(event.to_owned()).unwrap();
        self.handler.handle(&event, &invocation).await
    }

    /// Sends an event that is answered, and gives the answer.
    pub(super) async fn answer(&self, fields: Value) -> Value {
        self.send(fields).await.unwrap();
        self.receiver.answer()
    }
}

/// The properties of an image.
pub(super) fn properties(source: &str, more: Value) -> Value {
    let mut properties = json!({"Source": source, "Destination": format!("{REPOSITORY}:v1")});
    if let Value::Object(more) = more {
        for (name, value) in more {
            properties[name] = value;
        }
    }
    properties
}
