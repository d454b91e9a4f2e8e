//! What is built and how: the options that `build` and `hash` share.

use std::path::PathBuf;

use longshore::assets::fingerprint::Follow;
use longshore::assets::ignore::IgnoreMode;
use longshore::assets::{ImageAsset, Input};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AssetArgs {
    /// The directory that has the Dockerfile.
    pub(crate) directory: PathBuf,
    /// The Dockerfile, by its path in the directory.
    #[arg(long, short, value_name = "PATH")]
    pub(crate) file: Option<String>,
    /// The stage of the Dockerfile to build.
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// A build argument. Can be given several times, as can most below.
    #[arg(long = "build-arg", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) build_args: Vec<(String, String)>,
    /// A further context.
    #[arg(long = "build-context", value_name = "NAME=PLACE", value_parser = pair)]
    pub(crate) build_contexts: Vec<(String, String)>,
    /// A secret of the build, such as id=token,src=token.txt.
    #[arg(long = "build-secret", value_name = "id=NAME,SOURCE", value_parser = secret)]
    pub(crate) build_secrets: Vec<(String, String)>,
    /// SSH agent or keys for the build, such as default.
    #[arg(long, value_name = "SSH")]
    pub(crate) build_ssh: Option<String>,
    /// The network of the build's commands, such as host or none.
    #[arg(long, value_name = "NETWORK")]
    pub(crate) network: Option<String>,
    /// What to build for, such as linux/arm64. Several make one index.
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    pub(crate) platforms: Vec<String>,
    /// A further result that the builder writes.
    #[arg(long = "output", value_name = "OUTPUT")]
    pub(crate) outputs: Vec<String>,
    /// A pattern of files that are not part of the asset, beside those of .dockerignore.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// How patterns are read: docker, git or glob.
    #[arg(long, value_name = "MODE", default_value_t)]
    pub(crate) ignore_mode: IgnoreMode,
    /// Which symbolic links stand for what they lead to: never, always, external or internal-only.
    #[arg(long, value_name = "MODE", default_value_t)]
    pub(crate) follow: Follow,
    /// Text that makes another asset of the same files.
    #[arg(long, value_name = "TEXT")]
    pub(crate) extra_hash: Option<String>,
    /// An option that a CDK app gives, if only empty, as `buildArgs: {}`: buildArgs, buildContexts,
    /// buildSecrets or outputs.
    #[arg(long, value_name = "INPUT", value_delimiter = ',', value_parser = collection)]
    pub(crate) empty: Vec<Input>,
    /// Whether an option enters the hash, as CDK's `invalidation`: buildArgs=false.
    #[arg(long, value_name = "INPUT=false", value_delimiter = ',', value_parser = invalidation)]
    pub(crate) invalidation: Vec<(Input, bool)>,
    /// CDK's output directory, by its path in the directory. It is not part of the asset.
    #[arg(long, value_name = "PATH", default_value = "cdk.out")]
    pub(crate) cdk_out: String,
}

impl AssetArgs {
    pub(crate) fn into_asset(self) -> ImageAsset {
        let not_hashed = self.invalidation.into_iter();
        let not_hashed = not_hashed.filter(|(_, hashed)| !hashed);
        ImageAsset {
            directory: self.directory,
            file: self.file,
            target: self.target,
            build_args: self.build_args,
            build_contexts: self.build_contexts,
            build_secrets: self.build_secrets,
            build_ssh: self.build_ssh,
            network: self.network,
            platforms: self.platforms,
            outputs: self.outputs,
            exclude: self.exclude,
            ignore_mode: self.ignore_mode,
            follow: self.follow,
            extra_hash: self.extra_hash,
            empty: self.empty.into_iter().collect(),
            not_hashed: not_hashed.map(|(input, _)| input).collect(),
            cdk_out: Some(self.cdk_out),
            ..ImageAsset::default()
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads a secret as Docker writes it.
fn secret(text: &str) -> Result<(String, String), String> {
    let expected = "expected id=NAME and where it is, as id=token,src=token.txt";
    let id = text.strip_prefix("id=").ok_or(expected)?;
    let (name, source) = id.split_once(',').ok_or(expected)?;
    Ok((name.to_owned(), source.to_owned()))
}

fn collection(text: &str) -> Result<Input, String> {
    let input: Input = text.parse().map_err(|error| format!("{error}"))?;
    if !input.is_collection() {
        return Err("expected buildArgs, buildContexts, buildSecrets or outputs".to_owned());
    }
    Ok(input)
}

fn invalidation(text: &str) -> Result<(Input, bool), String> {
    let (input, value) = text.split_once('=').ok_or("expected INPUT=false")?;
    let input: Input = input.parse().map_err(|error| format!("{error}"))?;
    let value = value.parse().map_err(|_| "expected true or false")?;
    Ok((input, value))
}
