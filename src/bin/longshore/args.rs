//! What the command line says.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use longshore::archive::Compression;
use longshore::deploy::Location;
use longshore::oci::{Platform, Reference, Repository, Tag};
use longshore::policy::{AccountId, Action, Organization, Principal};

use crate::access::{DestinationArgs, Side, SourceArgs};
use crate::build::BuildArgs;
use crate::destination::{self, Destination};
use crate::hash::HashArgs;
use crate::names;
use crate::place::{KeptArgs, PlaceArgs};
use crate::publish::{ListArgs, PublishArgs};
use crate::sync::SyncArgs;

/// Move container images into Amazon ECR, or any registry.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, max_term_width = 100)]
pub(crate) struct Args {
    /// Write results, warnings and errors only: no progress, and no notes.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy an image from an archive or a registry to a registry, an archive or a directory.
    Copy(Box<CopyArgs>),
    /// Keep the images of a list current at their destinations.
    Sync(SyncArgs),
    /// Show an image without copying it.
    Inspect(InspectArgs),
    /// List the tags of a repository.
    #[command(visible_alias = "list-tags")]
    Tags(TagsArgs),
    /// Print the digest of an image.
    Digest(DigestArgs),
    /// Tell which manifests, layers and config values differ between two images.
    Diff(DiffArgs),
    /// Delete a tag, or an image with all its tags.
    Delete(DeleteArgs),
    /// Keep a login where Docker keeps it, once the registry has taken it.
    Login(LoginArgs),
    /// Forget a login.
    Logout(LogoutArgs),
    /// Let others pull from an ECR repository, by its policy.
    Grant(GrantArgs),
    /// Build an image from a Dockerfile, unless it has been built before.
    Build(Box<BuildArgs>),
    /// Print the hash that CDK gives the asset that an image is built from.
    Hash(HashArgs),
    /// Publish the assets of a CDK app: build, pack and upload what is not there.
    Publish(PublishArgs),
    /// List the assets of a CDK app.
    List(ListArgs),
    /// Run the Lambda's handler on a CloudFormation event and print its answer.
    Invoke(InvokeArgs),
    /// Serve the embedded registry and bucket until interrupted.
    Local(LocalArgs),
    /// Print what a shell needs to complete longshore's words.
    Completions(CompletionsArgs),
    /// Write the manual pages of longshore and its commands.
    Man(ManArgs),
}

/// What `longshore completions` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  longshore completions bash > ~/.local/share/bash-completion/completions/longshore
  longshore completions zsh > ~/.zfunc/_longshore
  longshore completions fish > ~/.config/fish/completions/longshore.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// What `longshore man` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  longshore man ~/.local/share/man/man1
  man longshore-copy")]
pub(crate) struct ManArgs {
    /// The directory that the pages are written to.
    #[arg(value_name = "DIRECTORY")]
    pub(crate) directory: PathBuf,
}

/// The way in which a source is written.
const SOURCE: &str = "s3://BUCKET/KEY[?versionId=ID][#SELECTOR], https://HOST/PATH[#SELECTOR], \
[docker://]HOST/NAME[:TAG][@DIGEST], \
docker-archive:PATH[#SELECTOR], oci-archive:PATH[#SELECTOR] or oci:DIRECTORY[#SELECTOR]. \
A selector is repo:tag, @sha256:…, @0 or @index. PATH is - for stdin";

/// The way in which a destination is written.
const DESTINATION: &str = "Where it goes: HOST/NAME[:TAG], oci:DIRECTORY[:NAME] (adds to a layout), \
oci-archive:PATH[:NAME], or docker-archive:PATH[:NAME] (what docker load takes, of one platform). \
NAME is a tag such as 1.0, or a name such as app:1.0. PATH is - for stdout. What is at PATH stays \
until the new archive is complete";

const COPY_EXAMPLES: &str = "\
Examples:
  longshore copy nginx:1.27 123456789012.dkr.ecr.eu-west-1.amazonaws.com/nginx:1.27
  longshore copy nginx:1.27 oci-archive:nginx.tar:nginx:1.27
  longshore copy --platform linux/arm64 nginx:1.27 docker-archive:-:nginx:1.27 | docker load
  longshore copy --append redis:8 oci-archive:nginx.tar:redis:8
  longshore copy --dry-run nginx:1.27 quay.io/team/nginx:1.27

Exit status of a dry run: 3 if there is something to copy or to tag.";

#[derive(Debug, clap::Args)]
#[command(after_help = COPY_EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own on the command line"
)]
pub(crate) struct CopyArgs {
    /// The image to copy.
    #[arg(long_help = SOURCE, value_parser = names::source)]
    pub(crate) source: Location,
    /// Where it goes: HOST/NAME[:TAG], oci:DIRECTORY[:NAME], oci-archive:PATH[:NAME] or
    /// docker-archive:PATH[:NAME].
    #[arg(
        required_unless_present = "to",
        long_help = DESTINATION,
        value_parser = destination::read
    )]
    pub(crate) destination: Option<Destination>,
    /// Where it goes, too: read once for all. Can be given several times. A repository may be reached
    /// in its own way: DESTINATION,role=ARN,external-id=ID or DESTINATION,credentials=WHERE.
    #[arg(long, value_name = "DESTINATION", value_parser = destination::read_with_side)]
    pub(crate) to: Vec<(Destination, Side)>,
    /// Keep the images that an archive holds, and add this one.
    #[arg(long)]
    pub(crate) append: bool,
    /// Create a repository of ECR that is missing.
    #[arg(long)]
    pub(crate) create_repository: bool,
    /// One more tag for the same image, at each destination. Can be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<Tag>,
    /// Copy only this platform, such as linux/arm64. Can be given several times.
    #[arg(long = "platform", value_name = "PLATFORM")]
    pub(crate) platforms: Vec<Platform>,
    /// A tag for a single platform of an index, as linux/arm64=TAG. Can be given several times.
    #[arg(long = "platform-tag", value_name = "PLATFORM=TAG", value_parser = platform_tag)]
    pub(crate) platform_tags: Vec<(Platform, Tag)>,
    /// What becomes of BuildKit's attestations inside an index.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) attestations: Attestations,
    /// What becomes of signatures, SBOMs and other manifests about the image.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) referrers: Referrers,
    /// How layers that an archive holds uncompressed are compressed: gzip, gzip-small, zstd or
    /// none.
    #[arg(long, default_value = "gzip")]
    pub(crate) compression: Compression,
    /// An image that shares layers with this one. Can be given several times.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) reuse_from: Vec<Reference>,
    /// Blobs copied at once [default: 4, of a registry's image up to 16]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) concurrency: Option<NonZeroUsize>,
    /// Say what would be copied and tagged, and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as JSON, and no progress.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) source_side: SourceArgs,
    #[command(flatten)]
    pub(crate) destination_side: DestinationArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  longshore inspect nginx:1.27
  longshore inspect --raw nginx:1.27
  longshore inspect --config --platform linux/arm64 nginx:1.27
  longshore inspect --json docker-archive:app.tar";

#[derive(Debug, clap::Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The image to show.
    #[arg(long_help = SOURCE, value_parser = names::source)]
    pub(crate) source: Location,
    /// Show only the image of this platform, such as linux/arm64.
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<Platform>,
    /// Print the manifest's exact bytes.
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
    /// Print the exact bytes of the image's config.
    #[arg(long, conflicts_with_all = ["json", "raw"])]
    pub(crate) config: bool,
    /// Print everything as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) source_side: SourceArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

const TAGS_EXAMPLES: &str = "\
Examples:
  longshore tags nginx
  longshore tags --json 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app";

#[derive(Debug, clap::Args)]
#[command(after_help = TAGS_EXAMPLES)]
pub(crate) struct TagsArgs {
    /// The repository: HOST/NAME, or the ARN of one of ECR.
    #[arg(value_parser = names::repository)]
    pub(crate) repository: Repository,
    /// Print the tags as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) source_side: SourceArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

const DIGEST_EXAMPLES: &str = "\
Examples:
  longshore digest nginx:1.27
  longshore digest --platform linux/arm64 nginx:1.27
  longshore digest oci:layout#1.0";

#[derive(Debug, clap::Args)]
#[command(after_help = DIGEST_EXAMPLES)]
pub(crate) struct DigestArgs {
    /// The image.
    #[arg(long_help = SOURCE, value_parser = names::source)]
    pub(crate) source: Location,
    /// Print the digest of the image of this platform, such as linux/arm64.
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<Platform>,
    /// Print digest, media type and size as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) source_side: SourceArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

const DIFF_EXAMPLES: &str = "\
The exit status is 3 where the images differ, 0 where they do not, and 1 where they cannot be read.

Examples:
  longshore diff nginx:1.26 nginx:1.27
  longshore diff --json docker-archive:app.tar 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1.0";

#[derive(Debug, clap::Args)]
#[command(after_help = DIFF_EXAMPLES)]
pub(crate) struct DiffArgs {
    /// The image as it was.
    #[arg(long_help = SOURCE, value_parser = names::source)]
    pub(crate) before: Location,
    /// The image as it is.
    #[arg(long_help = SOURCE, value_parser = names::source)]
    pub(crate) after: Location,
    /// Print the differences as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) source_side: SourceArgs,
    #[command(flatten)]
    pub(crate) destination_side: DestinationArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

const DELETE_EXAMPLES: &str = "\
A tag is deleted alone: the image stays under its other tags. ECR deletes an image with its last tag. \
By its digest an image is deleted with all its tags; the images that an index lists stay.

Examples:
  longshore delete --dry-run 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1.0
  longshore delete --yes localhost:5000/app@sha256:…";

#[derive(Debug, clap::Args)]
#[command(after_help = DELETE_EXAMPLES)]
pub(crate) struct DeleteArgs {
    /// The image: HOST/NAME:TAG or HOST/NAME@DIGEST.
    #[arg(value_parser = names::deletable)]
    pub(crate) reference: Reference,
    /// Delete without asking.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Say what would be deleted, and delete nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) destination_side: DestinationArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

const LOGIN_EXAMPLES: &str = "\
ECR needs no login: its tokens come from AWS's credentials. On a terminal, the command asks for the \
user and the password.

Examples:
  longshore login quay.io
  longshore login --username me --password-stdin quay.io < token
  pass show registry | longshore login --username me --password-stdin registry.example:5000";

#[derive(Debug, clap::Args)]
#[command(after_help = LOGIN_EXAMPLES)]
pub(crate) struct LoginArgs {
    /// The registry: HOST[:PORT], or docker.io.
    #[arg(value_parser = names::registry)]
    pub(crate) registry: String,
    /// The user.
    #[arg(long, short)]
    pub(crate) username: Option<String>,
    /// Read the password from standard input.
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Ask the registry, say where the login would be kept, and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

const LOGOUT_EXAMPLES: &str = "\
Examples:
  longshore logout quay.io";

#[derive(Debug, clap::Args)]
#[command(after_help = LOGOUT_EXAMPLES)]
pub(crate) struct LogoutArgs {
    /// The registry: HOST[:PORT], or docker.io.
    #[arg(value_parser = names::registry)]
    pub(crate) registry: String,
    /// Say where the login is kept, and leave it there.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

const GRANT_EXAMPLES: &str = "\
What others wrote into the policy stays as it is. A grant adds to those before it; the same options \
with --revoke take it away again.

Exit status of a dry run: 3 if the policy would change.

Examples:
  longshore grant --account 210987654321 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app
  longshore grant --dry-run --organization o-a1b2c3d4e5 arn:aws:ecr:eu-west-1:123456789012:repository/app
  longshore grant --revoke --account 210987654321 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app";

#[derive(Debug, clap::Args)]
#[command(after_help = GRANT_EXAMPLES)]
pub(crate) struct GrantArgs {
    /// The repository's ARN, or ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME.
    pub(crate) repository: String,
    /// An account whose roles and users may pull. Can be given several times, as can all below.
    #[arg(long = "account", value_name = "ID")]
    pub(crate) accounts: Vec<AccountId>,
    /// The ARN of a role, a user or an account.
    #[arg(long = "principal", value_name = "ARN")]
    pub(crate) principals: Vec<Principal>,
    /// A service of AWS, such as lambda.amazonaws.com.
    #[arg(long = "service", value_name = "NAME")]
    pub(crate) services: Vec<String>,
    /// On behalf of which resources the services pull, with * and ? as wildcards.
    #[arg(long = "source-arn", value_name = "ARN", requires = "services")]
    pub(crate) source_arns: Vec<String>,
    /// On behalf of which accounts the services pull.
    #[arg(long = "source-account", value_name = "ID", requires = "services")]
    pub(crate) source_accounts: Vec<AccountId>,
    /// An organization by its ID, or a part of one by its path.
    #[arg(long = "organization", value_name = "ID")]
    pub(crate) organizations: Vec<Organization>,
    /// An action to grant instead of those that a pull needs, such as ecr:DescribeImages.
    #[arg(long = "action", value_name = "ACTION")]
    pub(crate) actions: Vec<Action>,
    /// Take away what the same options granted.
    #[arg(long)]
    pub(crate) revoke: bool,
    /// Print the policy as it would be, and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

const INVOKE_EXAMPLES: &str = "\
The event's ResponseURL is replaced by an address of this command. The exit status is 0 if the answer \
is SUCCESS.

Examples:
  longshore invoke --local events/create-tarball.json
  longshore invoke --local --data kept events/delete.json";

#[derive(Debug, clap::Args)]
#[command(after_help = INVOKE_EXAMPLES)]
pub(crate) struct InvokeArgs {
    /// The event, as CloudFormation sends it.
    pub(crate) event: PathBuf,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

const LOCAL_EXAMPLES: &str = "\
Examples:
  longshore local
  longshore local --data kept --registry 127.0.0.1:6000 > variables";

#[derive(Debug, clap::Args)]
#[command(after_help = LOCAL_EXAMPLES)]
pub(crate) struct LocalArgs {
    /// Where the registry listens.
    #[arg(long, default_value = "127.0.0.1:5000", value_name = "ADDRESS")]
    pub(crate) registry: SocketAddr,
    /// Where the bucket listens.
    #[arg(long, default_value = "127.0.0.1:5001", value_name = "ADDRESS")]
    pub(crate) bucket: SocketAddr,
    /// Where the stand-in for ECR's API, Secrets Manager and STS listens.
    #[arg(long, default_value = "127.0.0.1:5002", value_name = "ADDRESS")]
    pub(crate) api: SocketAddr,
    /// Print the variables as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Attestations {
    #[default]
    Keep,
    Drop,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Referrers {
    #[default]
    None,
    Copy,
}

fn platform_tag(text: &str) -> Result<(Platform, Tag), String> {
    let (platform, tag) = text.split_once('=').ok_or("expected PLATFORM=TAG")?;
    let platform = platform.parse().map_err(|error| format!("{error}"))?;
    let tag = tag.parse().map_err(|error| format!("{error}"))?;
    Ok((platform, tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn is_consistent() {
        Args::command().debug_assert();
    }
}
