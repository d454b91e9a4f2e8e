//! The places where something goes wrong: how their requests are known, and the words by which a
//! sentence names them.

use super::world::{Server, Work};

/// A place where something goes wrong.
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) server: Server,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) work: Work,
    /// Properties by which the place takes part.
    pub(super) properties: &'static [(&'static str, &'static str)],
    /// Words of every failure there.
    pub(super) says: &'static [&'static str],
    /// Words that would name another side.
    pub(super) never: &'static [&'static str],
}

/// How a place speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    /// As the distribution specification says.
    Registry,
    /// As AWS's services do, S3 among them.
    Service,
    /// By statuses alone.
    Web,
}

impl Place {
    pub(super) fn speech(&self) -> Speech {
        match self.server {
            Server::Registry | Server::Other => Speech::Registry,
            Server::Bucket if self.work == Work::Web => Speech::Web,
            Server::Bucket | Server::Aws => Speech::Service,
        }
    }
}

const SOURCE: &[&str] = &["/source"];
const NO_DESTINATION: &[&str] = &["may push", "create it before", "cannot push"];
const DESTINATION: &[&str] = &["/app"];
const NO_SOURCE: &[&str] = &["may pull", "cannot fetch", "there is no image"];
const ARCHIVE: &[&str] = &["s3://images/example.tar"];
const ROLE: &str = "arn:aws:iam::210987654321:role/reader";

pub(super) const PLACES: [Place; 21] = [
    Place {
        name: "the source's manifest",
        server: Server::Registry,
        method: "GET",
        path: "/v2/source/manifests/1",
        work: Work::Image,
        properties: &[],
        says: SOURCE,
        never: NO_DESTINATION,
    },
    Place {
        name: "the source's layer",
        server: Server::Registry,
        method: "GET",
        path: "/v2/source/blobs/",
        work: Work::Image,
        properties: &[],
        says: SOURCE,
        never: NO_DESTINATION,
    },
    Place {
        name: "a manifest at the destination",
        server: Server::Registry,
        method: "HEAD",
        path: "/v2/app/manifests/",
        work: Work::Image,
        properties: &[],
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "a blob at the destination",
        server: Server::Registry,
        method: "HEAD",
        path: "/v2/app/blobs/",
        work: Work::Image,
        properties: &[],
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "the start of an upload",
        server: Server::Registry,
        method: "POST",
        path: "/v2/app/blobs/uploads/",
        work: Work::Image,
        properties: &[],
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "the end of an upload",
        server: Server::Registry,
        method: "PUT",
        path: "/v2/app/blobs/uploads/",
        work: Work::Image,
        properties: &[],
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "the push of a manifest",
        server: Server::Registry,
        method: "PUT",
        path: "/v2/app/manifests/sha256",
        work: Work::Image,
        properties: &[],
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "the tag",
        server: Server::Registry,
        method: "PUT",
        path: "/v2/app/manifests/1",
        work: Work::Image,
        properties: &[],
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "an archive",
        server: Server::Bucket,
        method: "GET",
        path: "",
        work: Work::Archive,
        properties: &[],
        says: ARCHIVE,
        never: NO_DESTINATION,
    },
    Place {
        name: "an archive of a web server",
        server: Server::Bucket,
        method: "GET",
        path: "",
        work: Work::Web,
        properties: &[],
        says: &["/images/example.tar"],
        never: NO_DESTINATION,
    },
    Place {
        name: "the upload of an archive's layer",
        server: Server::Registry,
        method: "POST",
        path: "/v2/app/blobs/uploads/",
        work: Work::Archive,
        properties: &[],
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "the token of ECR",
        server: Server::Aws,
        method: "POST",
        path: "/ecr/GetAuthorizationToken",
        work: Work::Archive,
        properties: &[],
        says: &["ecr"],
        never: NO_SOURCE,
    },
    Place {
        name: "the source's role",
        server: Server::Aws,
        method: "POST",
        path: "/sts",
        work: Work::Archive,
        properties: &[("SourceRoleArn", ROLE)],
        says: ARCHIVE,
        never: NO_DESTINATION,
    },
    Place {
        name: "the destination's role",
        server: Server::Aws,
        method: "POST",
        path: "/sts",
        work: Work::Archive,
        properties: &[("DestinationRoleArn", ROLE)],
        says: &[ROLE],
        never: NO_SOURCE,
    },
    Place {
        name: "the look-up of the repository",
        server: Server::Aws,
        method: "POST",
        path: "/ecr/DescribeRepositories",
        work: Work::Archive,
        properties: &[("CreateRepository", "true")],
        says: &["app"],
        never: NO_SOURCE,
    },
    Place {
        name: "the creation of the repository",
        server: Server::Aws,
        method: "POST",
        path: "/ecr/CreateRepository",
        work: Work::Archive,
        properties: &[("CreateRepository", "true")],
        says: &["creating repository app"],
        never: NO_SOURCE,
    },
    Place {
        name: "the source's secret",
        server: Server::Aws,
        method: "POST",
        path: "/secretsmanager/GetSecretValue",
        work: Work::FromOther,
        properties: &[("SourceCredentials", "login")],
        says: &["login"],
        never: NO_DESTINATION,
    },
    Place {
        name: "the source's token server",
        server: Server::Other,
        method: "GET",
        path: "/token",
        work: Work::FromOther,
        properties: &[],
        says: &["token server"],
        never: &[
            "may push",
            "create it before",
            "cannot push",
            "there is no image",
        ],
    },
    Place {
        name: "the destination's token server",
        server: Server::Other,
        method: "GET",
        path: "/token",
        work: Work::ToOther,
        properties: &[("DestinationCredentials", "login")],
        says: &["token server"],
        never: &["may pull", "create it before", "there is no image"],
    },
    Place {
        name: "the tags of an image that is removed",
        server: Server::Aws,
        method: "POST",
        path: "/ecr/DescribeImages",
        work: Work::Removal,
        properties: &[],
        says: &["app"],
        never: NO_SOURCE,
    },
    Place {
        name: "the removal of an image",
        server: Server::Aws,
        method: "POST",
        path: "/ecr/BatchDeleteImage",
        work: Work::Removal,
        properties: &[],
        says: &["app"],
        never: NO_SOURCE,
    },
];
