use serde_json::{Value, json};

use super::*;
use crate::archive::testing::{Tar, config, drain, open, read};
use crate::archive::{Compression, Selected};
use crate::oci::Platform;

const LAYER: &[u8] = b"a layer";

/// Builds an archive with a layout.
struct Builder {
    tar: Tar,
    index: Vec<Value>,
}

impl Builder {
    fn new() -> Self {
        Self {
            tar: Tar::default().json("oci-layout", &json!({"imageLayoutVersion": "1.0.0"})),
            index: Vec::new(),
        }
    }

    fn blob(&mut self, media_type: &MediaType, bytes: impl AsRef<[u8]>) -> Descriptor {
        let digest = Digest::sha256(bytes.as_ref());
        let size = bytes.as_ref().len() as u64;
        self.tar = std::mem::take(&mut self.tar).file(&blob(&digest), bytes);
        Descriptor::new(media_type.clone(), digest, size)
    }

    /// An image of one layer that is called gzip, and how its manifest is described.
    fn image(&mut self, layer: &[u8]) -> Descriptor {
        let layer_descriptor = self.blob(&MediaType::OCI_LAYER_GZIP, layer);
        let config = config(&[layer]).to_string();
        let config = self.blob(&MediaType::OCI_CONFIG, config);
        self.manifest(&json!({
            "schemaVersion": 2,
            "config": config,
            "layers": [layer_descriptor],
        }))
    }

    fn manifest(&mut self, manifest: &Value) -> Descriptor {
        self.blob(&MediaType::OCI_MANIFEST, manifest.to_string())
    }

    fn named(mut self, descriptor: &Descriptor, name: &str) -> Self {
        let mut descriptor = descriptor.clone();
        descriptor
            .annotations
            .insert(NAMES[1].to_owned(), name.to_owned());
        self.index.push(json!(descriptor));
        self
    }

    fn listed(mut self, descriptor: &Descriptor) -> Self {
        self.index.push(json!(descriptor));
        self
    }

    fn finish(self) -> Vec<u8> {
        let index = json!({"schemaVersion": 2, "manifests": self.index});
        self.tar.json("index.json", &index).finish()
    }
}

async fn stored(bytes: Vec<u8>, selector: Option<&str>) -> (RawManifest, Arc<dyn Source>) {
    match select(bytes, selector).await.unwrap() {
        Selected::Stored { root, source } => (root, source),
        Selected::Unbuilt(_) => panic!("expected an image that is copied exactly"),
    }
}

async fn select(bytes: Vec<u8>, selector: Option<&str>) -> Result<Selected, Error> {
    let selector = selector.map(|selector| selector.parse().unwrap());
    let archive = open(bytes).await?;
    archive.select(selector.as_ref(), Compression::Gzip).await
}

fn on(descriptor: &Descriptor, platform: &str) -> Descriptor {
    let platform: Platform = platform.parse().unwrap();
    Descriptor {
        platform: Some(platform),
        ..descriptor.clone()
    }
}

#[tokio::test]
async fn an_image_is_given_exactly() {
    let mut builder = Builder::new();
    let image = builder.image(LAYER);
    let (root, source) = stored(builder.listed(&image).finish(), None).await;
    assert_eq!(root.descriptor(), image);
    assert_eq!(source.manifest(&image).await.unwrap(), root);
    let Manifest::Image(manifest) = root.parse().unwrap() else {
        panic!("expected an image");
    };
    let layer = source.blob(&manifest.layers[0]);
    assert_eq!(layer.descriptor().as_ref(), Some(&manifest.layers[0]));
    assert_eq!(read(layer.as_ref()).await, LAYER);
    let rest = layer.open(3).await.unwrap();
    assert_eq!(drain(rest).await.unwrap(), LAYER[3..]);
}

#[tokio::test]
async fn names_choose_among_images() {
    let mut builder = Builder::new();
    let (one, two) = (builder.image(b"1"), builder.image(b"2"));
    let index = json!({"schemaVersion": 2, "manifests": [on(&two, "linux/arm64")]});
    let nested = builder.blob(&MediaType::OCI_INDEX, index.to_string());
    let bytes = builder
        .named(&one, "1.0")
        .named(&one, "docker.io/library/app:1")
        .named(&nested, "app:2")
        .finish();
    let by_digest = format!("@{}", two.digest);
    for (selector, expected) in [
        ("1.0", &one),
        ("app:1", &one),
        ("@0", &one),
        ("docker.io/library/app:2", &nested),
        ("@1", &nested),
        (&by_digest, &two),
    ] {
        let (root, _) = stored(bytes.clone(), Some(selector)).await;
        assert_eq!(root.descriptor(), *expected, "{selector}");
    }
    let error = select(bytes, None).await.err().unwrap();
    let list = "it holds #@0 1.0 (and 1 more names), #@1 app:2";
    assert!(error.to_string().ends_with(list), "{error}");
}

#[tokio::test]
async fn what_an_index_lists_is_a_manifest_or_a_blob() {
    let mut builder = Builder::new();
    let layer = builder.blob(&MediaType::OCI_LAYER_GZIP, LAYER);
    let cache = "application/vnd.buildkit.cacheconfig.v0".into();
    let cache = builder.blob(&cache, r#"{"layers":[],"records":[]}"#);
    let bundle = "application/vnd.example.bundle+json".into();
    let document = json!({"mediaType": bundle, "blobs": [layer]});
    let bundle = builder.blob(&bundle, document.to_string());
    let index = json!({"schemaVersion": 2, "manifests": [layer, cache, bundle]});
    let index = builder.blob(&MediaType::OCI_INDEX, index.to_string());
    let (root, source) = stored(builder.listed(&index).finish(), None).await;
    assert_eq!(root.descriptor(), index);
    for (descriptor, is_manifest) in [(&layer, false), (&cache, false), (&bundle, true)] {
        let listed = source.listed(descriptor).await.unwrap();
        assert_eq!(listed.is_some(), is_manifest, "{descriptor:?}");
    }
}

#[tokio::test]
async fn signatures_beside_an_image_are_not_images() {
    let mut builder = Builder::new();
    let image = builder.image(LAYER);
    let config = builder.blob(&MediaType::OCI_EMPTY, "{}");
    let mut signature = builder.manifest(&json!({
        "schemaVersion": 2,
        "artifactType": "application/vnd.example.signature",
        "config": config,
        "layers": [],
        "subject": image,
    }));
    signature.artifact_type = Some("application/vnd.example.signature".to_owned());
    let bytes = builder
        .listed(&image)
        .named(&signature, "sha256-1.sig")
        .finish();
    let (root, source) = stored(bytes, None).await;
    assert_eq!(root.descriptor(), image);
    let referrers = source.referrers(&image.digest).await.unwrap();
    assert_eq!(referrers[0].digest, signature.digest);
    let tag = "sha256-1.sig".parse().unwrap();
    let tagged = source.tagged(&tag).await.unwrap().unwrap();
    assert_eq!(*tagged.digest(), signature.digest);
}

/// The entries that `docker save` leaves out of a multi-platform image that was pulled for one
/// platform.
#[tokio::test]
async fn the_platform_that_is_there_counts() {
    let mut builder = Builder::new();
    let here = builder.image(LAYER);
    let missing = Descriptor::new(MediaType::OCI_MANIFEST, Digest::sha256(b"gone"), 4);
    let manifests = [on(&here, "linux/amd64"), on(&missing, "linux/arm64")];
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    let index = builder.blob(&MediaType::OCI_INDEX, index.to_string());
    let (root, source) = stored(builder.listed(&index).finish(), None).await;
    assert_eq!(root.descriptor(), here);
    let error = source.manifest(&manifests[1]).await.unwrap_err();
    let expected = format!(
        "the image's index (linux/arm64) names \"blobs/sha256/{}\", which is not in the archive: \
         the archive was written without this platform, name others in Platforms",
        missing.digest.hex()
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn the_index_counts_where_several_platforms_are_there() {
    let mut builder = Builder::new();
    let missing = Descriptor::new(MediaType::OCI_MANIFEST, Digest::sha256(b"gone"), 4);
    let manifests = [builder.image(b"1"), builder.image(b"2"), missing];
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    let index = builder.blob(&MediaType::OCI_INDEX, index.to_string());
    let (root, _) = stored(builder.listed(&index).finish(), None).await;
    assert_eq!(root.descriptor(), index);
}

/// As `docker save` since 25 writes both descriptions of an image.
fn hybrid(layer_type: &MediaType, manifest_layers: usize) -> Vec<u8> {
    let mut builder = Builder::new();
    let layer = builder.blob(layer_type, LAYER);
    let config = builder.blob(&MediaType::OCI_CONFIG, config(&[LAYER]).to_string());
    let docker = json!([{
        "Config": blob(&config.digest),
        "RepoTags": ["app:1"],
        "Layers": [blob(&layer.digest)],
    }]);
    let manifest = builder.manifest(&json!({
        "schemaVersion": 2,
        "config": config,
        "layers": vec![layer; manifest_layers],
    }));
    builder.tar = builder.tar.json("manifest.json", &docker);
    builder.named(&manifest, "1").finish()
}

#[tokio::test]
async fn the_layout_comes_before_manifest_json() {
    let bytes = hybrid(&MediaType::OCI_LAYER_GZIP, 1);
    for selector in [None, Some("1")] {
        assert!(matches!(
            select(bytes.clone(), selector).await,
            Ok(Selected::Stored { .. })
        ));
    }
    let by_name = select(bytes, Some("app:1")).await;
    assert!(matches!(by_name, Ok(Selected::Unbuilt(_))));
}

#[tokio::test]
async fn plain_layers_of_docker_save_are_compressed() {
    let bytes = hybrid(&MediaType::OCI_LAYER, 1);
    let Ok(Selected::Unbuilt(image)) = select(bytes.clone(), None).await else {
        panic!("expected an image without a manifest");
    };
    assert_eq!(image.layers.len(), 1);
    let exactly = open(bytes).await.unwrap();
    let exactly = exactly.select(None, Compression::None).await;
    assert!(matches!(exactly, Ok(Selected::Stored { .. })));
}

/// moby issue 47065: a manifest without layers, over a config that has some.
#[tokio::test]
async fn manifest_json_counts_where_the_layout_contradicts_itself() {
    let selected = select(hybrid(&MediaType::OCI_LAYER_GZIP, 0), None).await;
    let Ok(Selected::Unbuilt(image)) = selected else {
        panic!("expected an image without a manifest");
    };
    assert_eq!(image.layers.len(), 1);
}

#[tokio::test]
async fn says_what_is_wrong() {
    let gone = || Descriptor::new(MediaType::OCI_MANIFEST, Digest::sha256(b"gone"), 4);
    let mut without_layer = Builder::new();
    let config = without_layer.blob(&MediaType::OCI_CONFIG, config(&[LAYER]).to_string());
    let image = without_layer.manifest(&json!({
        "schemaVersion": 2, "config": config, "layers": [gone()],
    }));
    let mut damaged = Builder::new();
    damaged.tar = damaged.tar.file(&blob(&gone().digest), "{}");
    let gone_hex = gone().digest.hex().to_owned();
    for (bytes, message) in [
        (
            Builder::new().listed(&gone()).finish(),
            format!("the image names \"blobs/sha256/{gone_hex}\", which is not in the archive"),
        ),
        (
            without_layer.listed(&image).finish(),
            format!(
                "manifest {} names \"blobs/sha256/{gone_hex}\", which is not in the archive",
                image.digest
            ),
        ),
        (
            damaged.listed(&gone()).finish(),
            format!(
                "\"blobs/sha256/{gone_hex}\" is damaged: expected digest {}, got {}",
                gone().digest,
                Digest::sha256(b"{}")
            ),
        ),
        (
            Builder::new().finish(),
"the archive lists no image".to_owned(),
        ),
        (
            Tar::default().file("srv/data", "1").finish(),
            "the archive holds no image: there is neither manifest.json nor index.json at its top"
                .to_owned(),
        ),
        (
            Tar::default()
                .file("srv/manifest.json", "{}")
                .file("etc/passwd", "root")
                .finish(),
            "the archive holds no image: there is neither manifest.json nor index.json at its top: \
             it is the file system of a container, as `docker export` and `crane export` write it; \
             save the image, as with `docker save` or `crane pull`"
                .to_owned(),
        ),
        (
            Tar::default().file("image/index.json", "{}").finish(),
            "the archive holds no image: there is neither manifest.json nor index.json at its top: \
             they are in a directory, write the archive from inside it"
                .to_owned(),
        ),
    ] {
        let error = select(bytes, None).await.err().unwrap();
        assert_eq!(error.to_string(), message);
    }
}

#[tokio::test]
async fn blobs_that_are_not_their_names_are_withheld() {
    let mut builder = Builder::new();
    let digest = Digest::sha256(LAYER);
    builder.tar = builder.tar.file(&blob(&digest), "another");
    let image = builder.image(b"x");
    let (_, source) = stored(builder.listed(&image).finish(), None).await;
    for (size, message) in [(7, "expected digest"), (6, "expected 6 bytes, got 7")] {
        let descriptor = Descriptor::new(MediaType::OCI_LAYER_GZIP, digest.clone(), size);
        let blob = source.blob(&descriptor);
        let error = match blob.open(0).await {
            Ok(stream) => drain(stream).await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.to_string().contains(message), "{error}");
    }
}

/// A layout whose `index.json` lists an image for each of these platforms, under these names.
fn flat(listed: &[(&str, &[u8], Option<&str>)]) -> (Vec<u8>, Value) {
    let mut builder = Builder::new();
    for (platform, layer, name) in listed {
        let mut image = builder.image(layer);
        image.platform = Some(platform.parse().unwrap());
        if let Some(name) = name {
            image
                .annotations
                .insert(NAMES[1].to_owned(), (*name).to_owned());
        }
        builder = builder.listed(&image);
    }
    let index = json!({"schemaVersion": 2, "manifests": builder.index});
    (builder.finish(), index)
}

#[tokio::test]
async fn a_list_of_platforms_is_one_image() {
    let two = [
        ("linux/amd64", &b"1"[..], None),
        ("linux/arm64", b"2", None),
    ];
    let named = two.map(|(platform, layer, _)| (platform, layer, Some("app:1")));
    for (listed, selectors) in [
        (two, vec![None, Some("@index")]),
        (named, vec![None, Some("app:1"), Some("@index")]),
    ] {
        let (bytes, index) = flat(&listed);
        for selector in selectors {
            let (root, source) = stored(bytes.clone(), selector).await;
            assert_eq!(*root.bytes(), index.to_string(), "{selector:?}");
            assert_eq!(*root.media_type(), MediaType::OCI_INDEX);
            let Manifest::Index(index) = root.parse().unwrap() else {
                panic!("an index")
            };
            for entry in &index.manifests {
                source.manifest(entry).await.unwrap();
            }
        }
        let (one, _) = stored(bytes, Some("@1")).await;
        assert_eq!(*one.media_type(), MediaType::OCI_MANIFEST);
    }
}

#[tokio::test]
async fn a_list_of_images_is_not_one() {
    for listed in [
        [
            ("linux/amd64", &b"1"[..], Some("a:1")),
            ("linux/arm64", b"2", Some("b:1")),
        ],
        [("linux/amd64", b"1", None), ("linux/amd64", b"2", None)],
    ] {
        let (bytes, _) = flat(&listed);
        let error = select(bytes.clone(), None).await.err().unwrap();
        assert!(matches!(error, Error::Ambiguous { .. }), "{error}");
        assert!(select(bytes, Some("@index")).await.is_ok());
    }
}
