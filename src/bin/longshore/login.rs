//! `longshore login` and `longshore logout`.

use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use longshore::aws::EcrHost;
use longshore::deploy;
use longshore::oci::Reference;
use longshore::redact::Secret;
use longshore::registry::{Client, Credentials};

use crate::args::{LoginArgs, LogoutArgs};
use crate::docker_login::LoginStore;
use crate::misuse::Misuse;
use crate::output;

/// Most bytes of a password.
const MAX_PASSWORD: u64 = 64 << 10;

/// Keeps a login that the registry takes.
pub(crate) async fn login(args: LoginArgs) -> anyhow::Result<ExitCode> {
    let registry = &args.registry;
    if EcrHost::parse(registry).is_some() {
        output::note(&format!(
            "longshore: no login is needed for {registry}: ECR's tokens come from AWS's \
             credentials; nothing was stored"
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let Some(username) = args.username.filter(|_| args.password_stdin) else {
        return Err(Misuse::new(
            "a login takes --username NAME, and --password-stdin with the password on standard \
             input",
        )
        .into());
    };
    if username.is_empty() || username.contains(':') {
        return Err(Misuse::new("--username is empty, or has a colon, which no name has").into());
    }
    let password = password()?;
    let mut store = LoginStore::open()?;
    let is_asked_for = verify(registry, &username, &password).await?;
    let place = store.keep(registry, &username, &password)?;
    if !is_asked_for {
        output::note(&format!(
            "longshore: {registry} asks for no login, so nothing is known of the password"
        ));
    }
    output::result(&format!("logged in to {registry}: kept in {place}"));
    Ok(ExitCode::SUCCESS)
}

/// Forgets a login.
pub(crate) async fn logout(args: LogoutArgs) -> anyhow::Result<ExitCode> {
    let registry = args.registry;
    let forgotten = tokio::task::spawn_blocking(move || {
        let place = LoginStore::open()?.forget(&registry)?;
        anyhow::Ok((registry, place))
    });
    match forgotten.await?? {
        (registry, Some(place)) => {
            output::result(&format!("logged out of {registry}: removed from {place}"));
        }
        (registry, None) => output::result(&format!("there was no login of {registry}")),
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the registry whether it takes the login. `false`: it asks for none.
async fn verify(registry: &str, username: &str, password: &Secret) -> anyhow::Result<bool> {
    let config = deploy::registry_config(|name| std::env::var(name).ok())?;
    let reference: Reference = format!("{registry}/login").parse()?;
    let credentials = Arc::new(Credentials::basic(username, password.expose()));
    let repository = reference.repository().clone();
    let remote = Client::new(config)?.repository(repository, credentials)?;
    match remote.takes_login().await {
        Err(error) if error.is_denied() => Err(error).with_context(|| {
            format!("{registry} does not take this login: see that name and password are right")
        }),
        checked => checked.with_context(|| format!("cannot log in to {registry}")),
    }
}

/// Reads the password, without the end of its line.
fn password() -> anyhow::Result<Secret> {
    if io::stdin().is_terminal() {
        bail!("the password is to come over stdin, which is a terminal: pipe it in");
    }
    let mut text = String::new();
    let mut stdin = io::stdin().lock().take(MAX_PASSWORD);
    // The text is not quoted: it is a secret.
    let read = stdin.read_to_string(&mut text);
    if let Err(error) = read {
        bail!("cannot read the password on stdin: {}", error.kind());
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        bail!("there is no password on stdin");
    }
    Ok(Secret::new(line))
}
