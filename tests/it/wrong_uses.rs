//! Wrong uses of the command line: what was typed, what the sentence names, and what it does not.

use std::process::{Command, Stdio};

use crate::support::stderr;

/// A command line, its exit status, and what its sentence has and does not have.
type Row = (
    &'static str,
    i32,
    &'static [&'static str],
    &'static [&'static str],
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("cp a b", 2, &["longshore copy SOURCE DESTINATION"], &["similar subcommand"]),
    ("pull nginx", 2, &["longshore copy"], &["similar subcommand"]),
    ("push app:1", 2, &["longshore copy"], &["similar subcommand"]),
    ("save app:1", 2, &["longshore copy"], &["similar subcommand"]),
    ("load app.tar", 2, &["longshore copy"], &["similar subcommand"]),
    ("export app:1", 2, &["longshore copy"], &["similar subcommand"]),
    ("import a.tar", 2, &["longshore copy"], &["similar subcommand"]),
    ("tag a b", 2, &["longshore copy"], &["similar subcommand"]),
    ("ls quay.io/app", 2, &["longshore tags REPOSITORY"], &["similar subcommand"]),
    ("manifest nginx", 2, &["longshore inspect --raw"], &["similar subcommand"]),
    ("config nginx", 2, &["longshore inspect --config"], &["similar subcommand"]),
    ("describe nginx", 2, &["longshore inspect"], &["similar subcommand"]),
    ("rm h.io/a:1", 2, &["longshore delete"], &["similar subcommand"]),
    ("rmi h.io/a:1", 2, &["longshore delete"], &["similar subcommand"]),
    ("auth login", 2, &["longshore login"], &["similar subcommand"]),
    ("mirror list.yaml", 2, &["longshore sync"], &["similar subcommand"]),
    ("append nginx", 2, &["longshore build"], &["similar subcommand"]),
    ("version", 2, &["longshore --version"], &["similar subcommand"]),
    ("serve", 2, &["longshore local"], &["similar subcommand"]),
    ("inspect --creds me:hidden nginx", 2, &["--source-credentials"], &["hidden", "tip:"]),
    ("inspect --creds=me:hidden nginx", 2, &["--source-credentials"], &["hidden", "tip:"]),
    ("copy a h.io/b:1 --dest-creds me:hidden", 2, &["--destination-credentials"], &["hidden", "tip:"]),
    ("copy a h.io/b:1 --src-creds=me:hidden", 2, &["env:NAME"], &["hidden", "tip:"]),
    ("login quay.io --password hidden", 2, &["--password-stdin"], &["hidden", "tip:"]),
    ("copy --authfile x a h.io/b:1", 2, &["REGISTRY_AUTH_FILE"], &["hidden", "tip:"]),
    ("copy --all a h.io/b:1", 2, &["--platform"], &["hidden", "tip:"]),
    ("inspect --override-arch arm64 nginx", 2, &["--platform"], &["hidden", "tip:"]),
    ("inspect --tls-verify=false nginx", 2, &["LONGSHORE_ALLOW_LOOPBACK"], &["hidden", "tip:"]),
    ("delete --force h.io/a:1", 2, &["--yes"], &["hidden", "tip:"]),
    ("inspect --format json nginx", 2, &["--json"], &["hidden", "tip:"]),
    ("copy --role arn a h.io/b:1", 2, &["--source-role"], &["hidden", "tip:"]),
    ("nonsense", 2, &["nonsense"], &["words of other"]),
    ("inspect --source-credentials me:hidden nginx", 2, &["env:NAME", "file:PATH"], &["hidden"]),
    ("inspect --source-credentials=hidden nginx", 2, &["env:NAME"], &["hidden"]),
    ("copy nginx --to h.io/a:1,credentials=me:hidden", 2, &["env:NAME"], &["hidden"]),
    ("copy nginx --to h.io/a:1,external-id=x", 2, &["is for a role"], &[]),
    ("copy nginx --to oci:layout,role=arn:aws:iam::123456789012:role/a", 2, &["a file is reached without"], &[]),
    ("copy nginx --to h.io/a:1,role=admin", 2, &["arn:aws:iam::ACCOUNT:role/NAME"], &[]),
    ("inspect --source-role admin nginx", 2, &["arn:aws:iam::ACCOUNT:role/NAME"], &[]),
    ("inspect --source-external-id x nginx", 2, &["--source-role"], &[]),
    ("inspect --region Frankfurt nginx", 2, &["eu-west-1"], &[]),
    ("inspect --local --profile x nginx", 2, &["--local", "--profile"], &[]),
    ("inspect --source-credentials - docker-archive:-", 2, &["two things"], &["terminal"]),
    ("inspect --source-credentials env:X docker-archive:events/buckets/longshore-example/example-1.0.tar", 2, &["in no registry"], &[]),
    ("inspect nosuch-registry.invalid/app:1", 1, &["nosuch-registry.invalid", "see that the host is right"], &["VPC", "NAT"]),
    ("inspect docker-archive:/no/such.tar", 1, &["cannot read file /no/such.tar: No such file"], &["cannot read /no/such.tar:"]),
    ("inspect oci:/no/such", 1, &["cannot read file /no/such: No such"], &["archive: cannot"]),
    ("inspect --local quay.io/a/b:1", 1, &["quay.io", "--local reaches only what is on this machine"], &["dns error", "VPC"]),
    ("inspect --local nginx", 1, &["docker.io", "--local reaches only"], &["dns error"]),
    ("copy --local docker-archive:events/buckets/longshore-example/example-1.0.tar quay.io/a/b:1", 1, &["quay.io", "--local reaches only"], &["dns error"]),
    ("tags --local public.ecr.aws/nginx/nginx", 1, &["public.ecr.aws", "--local reaches only"], &["dns error"]),
    ("inspect --local https://files.example/a.tar", 1, &["files.example"], &["dns error"]),
    ("invoke --local Cargo.toml", 1, &["Cargo.toml is no event"], &[]),
    ("invoke --local events/mirror.yaml", 1, &["is no event"], &[]),
    ("invoke --local events/assets/app.assets.json", 1, &["is no event of CloudFormation", "RequestType"], &["is not a request"]),
    ("invoke --local /no/such.json", 1, &["cannot read /no/such.json"], &[]),
    ("delete --yes h.io/app", 2, &["neither a tag nor a digest"], &[]),
    ("delete h.io/app:1", 2, &["--yes", "--dry-run"], &[]),
    ("login quay.io/team", 2, &["expected quay.io"], &[]),
    ("logout team", 2, &["names no registry"], &[]),
    ("copy nginx app.tar", 2, &["docker-archive:app.tar", "oci-archive:app.tar"], &[]),
    ("copy nginx docker-daemon:app:1", 2, &["docker load"], &[]),
    ("copy nginx s3://b/a.tar", 2, &["aws s3 cp"], &[]),
    ("copy nginx team/app:1", 2, &["names no registry"], &[]),
    ("copy nginx https://quay.io/app:1", 2, &["without https://"], &[]),
    ("inspect no-such.tar", 2, &["docker-archive:no-such.tar"], &[]),
    ("inspect docker-daemon:app:1", 2, &["docker save app:1"], &[]),
    ("tags h.io/app:1", 2, &["without a tag"], &[]),
    ("copy --append nginx h.io/app:1", 1, &["no destination is one"], &[]),
    ("copy nginx h.io/a:1 --platform-tag amd64", 2, &["PLATFORM=TAG"], &[]),
    ("inspect --raw --json nginx", 2, &["--raw", "--json"], &[]),
    ("copy nginx", 2, &["DESTINATION"], &[]),
    ("digest docker-archive:events/buckets/longshore-example/example-1.0.tar", 1, &["before it is pushed"], &[]),
];

#[test]
fn a_wrong_use_is_told_what_was_meant() {
    assert!(ROWS.len() >= 50, "{}", ROWS.len());
    let mut wrong = Vec::new();
    for (typed, code, named, unnamed) in ROWS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command
            .args(typed.split(' '))
            .env_clear()
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null());
        let run = command.output().unwrap();
        let told = stderr(&run);
        let is_told = named.iter().all(|part| told.contains(part));
        let is_quiet = unnamed.iter().all(|part| !told.contains(part));
        if run.status.code() != Some(*code) || !is_told || !is_quiet {
            wrong.push(format!(
                "longshore {typed}\n  {:?} {told}",
                run.status.code()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
