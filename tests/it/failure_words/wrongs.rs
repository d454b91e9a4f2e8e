//! What goes wrong, and the words that a sentence then has or never has, whatever the place.

use std::num::NonZeroU64;

use longshore::local::Fault;

use super::places::{Place, Speech};

/// One thing that goes wrong, each time that it is asked for.
pub(super) struct Wrong {
    pub(super) name: &'static str,
    pub(super) fault: fn() -> Fault,
    /// Words of a failure, by who speaks: a registry, a service of AWS, a web server. Between `|`
    /// stand words of which it has one.
    says: [&'static str; 3],
    /// Words that it never has.
    pub(super) never: &'static [&'static str],
    /// The places where it does not matter, or is overcome: the work succeeds there, and only there.
    pub(super) overcome: Vec<&'static str>,
    /// Who says such a thing. `None`: everyone.
    only: Option<Speech>,
    /// Whether it ends with the function's time.
    pub(super) hangs: bool,
}

/// Never said of what answers: it was reached.
const REACHED: &[&str] = &["NAT gateway", "VPC", "was not reached", "not done within"];
/// Never said of a failure that passes.
const PASSES: &[&str] = &[
    "NAT gateway",
    "VPC",
    "was not reached",
    "not done within",
    "does not exist",
    "there is no",
    "is for others",
    "was denied",
    "denies access",
];
/// Never said of what does not answer.
const HANGS: &[&str] = &["NAT gateway", "VPC", "more time", "more memory"];

/// Requests by HEAD, whose answers have no body.
const LOOKUPS: [&str; 2] = ["a manifest at the destination", "a blob at the destination"];
/// Requests whose answers' bodies nobody reads.
const BODILESS: [&str; 7] = [
    LOOKUPS[0],
    LOOKUPS[1],
    "the start of an upload",
    "the end of an upload",
    "the push of a manifest",
    "the tag",
    "the upload of an archive's layer",
];
/// Requests without a body.
const SHORT: [&str; 10] = [
    "the source's manifest",
    "the source's layer",
    LOOKUPS[0],
    LOOKUPS[1],
    "the start of an upload",
    "an archive",
    "an archive of a web server",
    "the upload of an archive's layer",
    "the source's token server",
    "the destination's token server",
];

impl Wrong {
    /// Whether it can happen there.
    pub(super) fn is_at(&self, place: &Place) -> bool {
        self.only.is_none_or(|only| only == place.speech())
    }

    /// Whether it can happen at every place.
    pub(super) fn is_everywhere(&self) -> bool {
        self.only.is_none()
    }

    /// What a failure there says of it.
    pub(super) fn says(&self, place: &Place) -> &'static str {
        self.says[place.speech() as usize]
    }

    fn never(mut self, never: &'static [&'static str]) -> Self {
        self.never = never;
        self
    }

    fn overcome(mut self, places: &[&'static str]) -> Self {
        self.overcome.extend_from_slice(places);
        self
    }
}

fn wrong(name: &'static str, fault: fn() -> Fault, says: [&'static str; 3]) -> Wrong {
    Wrong {
        name,
        fault,
        says,
        never: REACHED,
        overcome: Vec::new(),
        only: None,
        hangs: false,
    }
}

/// What only registries say.
fn registry(name: &'static str, fault: fn() -> Fault, says: &'static str) -> Wrong {
    Wrong {
        only: Some(Speech::Registry),
        ..wrong(name, fault, [says, "", ""])
    }
}

/// What only services of AWS say.
fn service(name: &'static str, fault: fn() -> Fault, says: &'static str) -> Wrong {
    Wrong {
        only: Some(Speech::Service),
        ..wrong(name, fault, ["", says, ""])
    }
}

fn hang(name: &'static str, fault: fn() -> Fault) -> Wrong {
    Wrong {
        hangs: true,
        ..wrong(name, fault, ["seconds it waited for"; 3]).never(HANGS)
    }
}

/// All of them.
pub(super) fn all() -> Vec<Wrong> {
    let mut all = refusals();
    all.extend(passing());
    all.extend(codes());
    all.extend(strange_answers());
    all.extend(redirects());
    all.extend(connections());
    all.extend(hangs());
    all
}

/// Codes that the stand-ins of services give where nothing else is said.
const SERVICE: &str = "ServerException|InternalError";

fn refusals() -> Vec<Wrong> {
    vec![
        wrong(
            "400",
            || Fault::answer(400),
            [
                "answered 400",
                "fewer requests: ThrottlingException|InternalError",
                "answered 400",
            ],
        ),
        wrong(
            "401",
            || Fault::answer(401),
            ["answered 401", SERVICE, "was denied (401"],
        ),
        wrong(
            "403",
            || Fault::answer(403),
            [
                "denies access: allow ecr:|is for others",
                "was denied: allow |AccessDeniedException",
                "was denied (403",
            ],
        ),
        wrong(
            "404",
            || Fault::answer(404),
            [
                "answered 404|there is no image",
                SERVICE,
                "there is no http",
            ],
        )
        .overcome(&LOOKUPS),
        wrong(
            "405",
            || Fault::answer(405),
            ["answered 405", SERVICE, "answered 405"],
        )
        .overcome(&LOOKUPS),
        wrong(
            "409",
            || Fault::answer(409),
            ["answered 409", SERVICE, "answered 409"],
        ),
        wrong(
            "412",
            || Fault::answer(412),
            ["answered 412", SERVICE, "changed while it was read"],
        ),
        wrong(
            "413",
            || Fault::answer(413),
            ["answered 413", SERVICE, "answered 413"],
        ),
        wrong(
            "416",
            || Fault::answer(416),
            [
                "answered 416",
                "ServerException|not a tar archive but empty",
                "not a tar archive but empty",
            ],
        ),
        wrong(
            "418",
            || Fault::answer(418),
            ["answered 418", SERVICE, "answered 418"],
        ),
        wrong(
            "501",
            || Fault::answer(501),
            [
                "answered 501",
                "is not available at the moment",
                "answered 501",
            ],
        )
        .never(PASSES)
        .overcome(&LOOKUPS),
    ]
}

fn passing() -> Vec<Wrong> {
    let unavailable = "is not available at the moment";
    let fewer = "keeps asking for fewer requests";
    vec![
        wrong(
            "429",
            || Fault::answer(429),
            ["answered 429", fewer, "answered 429"],
        ),
        wrong(
            "429 that asks to wait for too long",
            || Fault::answer(429).retry_after(4000),
            [
                "answered 429|try again in 4000 seconds",
                fewer,
                "try again in 4000 seconds",
            ],
        ),
        wrong(
            "500",
            || Fault::answer(500),
            ["answered 500", unavailable, "answered 500"],
        ),
        wrong(
            "502",
            || Fault::answer(502),
            ["answered 502", unavailable, "answered 502"],
        ),
        wrong(
            "503",
            || Fault::answer(503),
            [
                "answered 503",
                "is not available at the moment|fewer requests: SlowDown",
                "answered 503",
            ],
        ),
        wrong(
            "504",
            || Fault::answer(504),
            ["answered 504", unavailable, "answered 504"],
        ),
        wrong(
            "a page, 502",
            || Fault::page(502),
            ["answered 502", unavailable, "answered 502"],
        ),
    ]
    .into_iter()
    .map(|wrong| wrong.never(PASSES))
    .collect()
}

fn codes() -> Vec<Wrong> {
    let mut codes = codes_of_registries();
    codes.extend(codes_of_services());
    codes
}

fn codes_of_registries() -> Vec<Wrong> {
    vec![
        registry(
            "DENIED",
            || Fault::answer(403).saying("DENIED", "not for you"),
            "denies access: allow ecr:|is for others",
        ),
        registry(
            "UNAUTHORIZED",
            || Fault::answer(401).saying("UNAUTHORIZED", "who are you"),
            "answered 401",
        ),
        registry(
            "NAME_UNKNOWN",
            || Fault::answer(404).saying("NAME_UNKNOWN", "no such repository"),
            "NAME_UNKNOWN|there is no image",
        )
        .overcome(&LOOKUPS),
        registry(
            "MANIFEST_UNKNOWN",
            || Fault::answer(404).saying("MANIFEST_UNKNOWN", "no such manifest"),
            "MANIFEST_UNKNOWN|there is no image",
        )
        .overcome(&LOOKUPS),
        registry(
            "BLOB_UNKNOWN",
            || Fault::answer(404).saying("BLOB_UNKNOWN", "no such blob"),
            "BLOB_UNKNOWN|there is no image",
        )
        .overcome(&LOOKUPS),
        registry(
            "UNSUPPORTED",
            || Fault::answer(405).saying("UNSUPPORTED", "never"),
            "UNSUPPORTED: never",
        )
        .overcome(&LOOKUPS),
        registry(
            "TAG_INVALID",
            || Fault::answer(400).saying("TAG_INVALID", "immutable"),
            "TAG_INVALID: immutable|answered 400",
        ),
        registry(
            "MANIFEST_INVALID",
            || Fault::answer(400).saying("MANIFEST_INVALID", "malformed"),
            "MANIFEST_INVALID: malformed|answered 400",
        ),
        registry(
            "BLOB_UPLOAD_INVALID",
            || Fault::answer(416).saying("BLOB_UPLOAD_INVALID", "first byte"),
            "BLOB_UPLOAD_INVALID: first byte|answered 416",
        ),
        registry(
            "TOOMANYREQUESTS",
            || {
                Fault::answer(429)
                    .saying("TOOMANYREQUESTS", "You have reached your pull rate limit.")
            },
            "answered 429|the pull quota of",
        ),
    ]
}

fn codes_of_services() -> Vec<Wrong> {
    vec![
        service(
            "AccessDenied",
            || Fault::answer(403).saying("AccessDenied", "Access Denied"),
            "was denied: allow ",
        ),
        service(
            "a permission that AWS names",
            || {
                Fault::answer(400).saying(
                    "AccessDeniedException",
                    "x is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:eu-west-1:1:key/k",
                )
            },
            "allow kms:Decrypt on arn:aws:kms:eu-west-1:1:key/k|AccessDeniedException",
        ),
        service(
            "ExpiredToken",
            || Fault::answer(400).saying("ExpiredToken", "expired"),
            "the AWS credentials were not accepted",
        ),
        service(
            "SlowDown",
            || Fault::answer(503).saying("SlowDown", "Please reduce your request rate."),
            "keeps asking for fewer requests",
        ),
        service(
            "KMS.DisabledException",
            || Fault::answer(400).saying("KMS.DisabledException", "disabled"),
            "the KMS key that encrypts it cannot be used|KMS.DisabledException",
        ),
        service(
            "NoSuchKey",
            || Fault::answer(404).saying("NoSuchKey", "The specified key does not exist."),
            "there is no such object|NoSuchKey",
        ),
        service(
            "NoSuchBucket",
            || Fault::answer(404).saying("NoSuchBucket", "none"),
            "there is no such bucket|NoSuchBucket",
        ),
        service(
            "InvalidObjectState",
            || Fault::answer(403).saying("InvalidObjectState", "archived"),
            "the object is archived|InvalidObjectState",
        ),
        service(
            "PreconditionFailed",
            || Fault::answer(412).saying("PreconditionFailed", "changed"),
            "the object changed while it was read|PreconditionFailed",
        ),
        service(
            "RepositoryNotFoundException",
            || Fault::answer(400).saying("RepositoryNotFoundException", "none"),
            "there is no such repository|RepositoryNotFoundException",
        )
        .overcome(&["the look-up of the repository"]),
        service(
            "ResourceNotFoundException",
            || Fault::answer(400).saying("ResourceNotFoundException", "none"),
            "there is no such secret|ResourceNotFoundException",
        ),
    ]
}

fn strange_answers() -> Vec<Wrong> {
    let unread = "expected |malformed|cannot be read|holds no registry credentials";
    let strange = "answered with |answered without |wrong digest|mismatch|malformed";
    let web = "does not serve ranges|answered |mismatch|not a tar archive";
    let archive = "mismatch|not a tar archive|malformed|cannot be read|status ";
    vec![
        wrong(
            "200 with an error",
            || Fault::answer(200),
            [strange, unread, web],
        )
        .overcome(&LOOKUPS),
        wrong("204", || Fault::answer(204), [strange, unread, web]).overcome(&LOOKUPS),
        wrong("206", || Fault::answer(206), [strange, unread, web]).overcome(&LOOKUPS),
        wrong(
            "300",
            || Fault::answer(300),
            ["answered 300", SERVICE, "answered 300"],
        ),
        wrong(
            "304",
            || Fault::answer(304),
            [
                "answered 304",
                "ServerException|malformed|cannot be read",
                "answered 304",
            ],
        ),
        wrong("a page, 200", || Fault::page(200), [strange, unread, web]).overcome(&[LOOKUPS[0]]),
        wrong(
            "a page, 403",
            || Fault::page(403),
            [
                "denies access: allow ecr:|is for others",
                "was denied: allow |status 403",
                "was denied (403",
            ],
        ),
        wrong(
            "a page, 404",
            || Fault::page(404),
            [
                "answered 404|there is no image",
                "status 404",
                "there is no http",
            ],
        )
        .overcome(&LOOKUPS),
        wrong(
            "an empty answer",
            || Fault::truncate(0),
            [
                strange,
                "expected |mismatch|cannot be read|holds no registry",
                web,
            ],
        )
        .overcome(&BODILESS)
        .overcome(&["the look-up of the repository"]),
        wrong(
            "a truncated answer",
            || Fault::truncate(3),
            [strange, archive, web],
        )
        .overcome(&BODILESS),
        wrong(
            "a corrupt answer",
            || Fault::corrupt(0),
            [strange, archive, web],
        )
        .overcome(&BODILESS),
        wrong(
            "an answer that is corrupt inside",
            || Fault::corrupt(20),
            [strange, archive, web],
        )
        .overcome(&BODILESS),
    ]
}

fn redirects() -> Vec<Wrong> {
    let service = "status 307|cannot be read";
    vec![
        wrong(
            "a redirect to itself",
            || Fault::redirect("?again"),
            [
                "redirects more than 5 times|answered 307",
                service,
                "redirects more than 5 times",
            ],
        ),
        wrong(
            "a redirect to a dead port",
            || Fault::redirect("http://127.0.0.1:1/x"),
            [
                "http://127.0.0.1:1/x failed on the way: it refuses connections|answered 307",
                service,
                "http://127.0.0.1:1/x failed on the way: it refuses connections",
            ],
        ),
        wrong(
            "a redirect to no host",
            || Fault::redirect("https://registry.invalid/x"),
            [
                "registry.invalid/x failed on the way: its name has no address|answered 307",
                service,
                "refusing to read https://registry.invalid/x",
            ],
        ),
        wrong(
            "a redirect to the metadata",
            || Fault::redirect("http://169.254.169.254/latest/meta-data"),
            [
                "refusing to connect to 169.254.169.254|answered 307",
                service,
                "refusing to connect to 169.254.169.254",
            ],
        ),
        wrong(
            "a redirect without TLS",
            || Fault::redirect("http://registry.example/x"),
            [
                "http://registry.example/x without TLS|answered 307",
                service,
                "http://registry.example/x without TLS",
            ],
        ),
    ]
}

fn connections() -> Vec<Wrong> {
    let broke = "the connection broke";
    vec![
        wrong(
            "an answer that is cut in its head",
            || Fault::raw("HTTP/1.1 200 OK\r\nContent-Le"),
            [broke; 3],
        ),
        wrong(
            "an answer that is no HTTP",
            || Fault::raw("SSH-2.0-OpenSSH_9.9\r\n"),
            ["its answer is no HTTP"; 3],
        ),
        wrong(
            "an answer that is cut in its body",
            || Fault::cut_answer(3),
            [broke, "the connection broke|broke off", broke],
        )
        .overcome(&BODILESS),
        wrong("a dropped connection", Fault::refuse, [broke; 3]),
        wrong("a dropped answer", Fault::drop_answer, [broke; 3]).overcome(&["the tag"]),
        wrong(
            "a request that is cut",
            || Fault::cut_request(0),
            [broke; 3],
        )
        .overcome(&SHORT),
    ]
    .into_iter()
    .map(|wrong| wrong.never(PASSES))
    .collect()
}

fn hangs() -> Vec<Wrong> {
    vec![
        hang("a hang", Fault::hang),
        hang("a hang in the body", || Fault::stall(3)).overcome(&BODILESS),
        hang("a trickle", || Fault::pace(NonZeroU64::MIN))
            .overcome(&LOOKUPS)
            .overcome(&["the start of an upload", "the upload of an archive's layer"]),
    ]
}
