//! `longshore login` and `longshore logout`.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use longshore::aws::EcrHost;
use longshore::deploy;
use longshore::oci::Reference;
use longshore::redact::Secret;
use longshore::registry::{Client, Credentials};
use serde_json::json;

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
    let (username, password) = credentials(&args)?;
    let mut store = LoginStore::open()?;
    let is_asked_for = verify(registry, &username, &password).await?;
    if !args.dry_run {
        store.keep(registry, &username, &password)?;
    }
    if !is_asked_for {
        output::note(&format!(
            "longshore: {registry} asks for no login, so nothing is known of the password"
        ));
    }
    let place = store.place(registry);
    if args.json {
        let document = json!({
            "registry": registry,
            "place": place,
            "verified": is_asked_for,
            "dryRun": args.dry_run,
        });
        output::result(&format!("{document:#}"));
    } else if args.dry_run {
        output::result(&format!(
            "to be logged in to {registry}: to be kept in {place}"
        ));
    } else {
        output::result(&format!("logged in to {registry}: kept in {place}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Forgets a login.
pub(crate) async fn logout(args: LogoutArgs) -> anyhow::Result<ExitCode> {
    let (registry, is_dry_run) = (args.registry.clone(), args.dry_run);
    let forgetting = tokio::task::spawn_blocking(move || {
        let mut store = LoginStore::open()?;
        let place = store.has(&registry)?.then(|| store.place(&registry));
        if !is_dry_run {
            store.forget(&registry)?;
        }
        anyhow::Ok(place)
    });
    let place = forgetting.await??;
    let registry = &args.registry;
    if args.json {
        let document = json!({"registry": registry, "place": place, "dryRun": is_dry_run});
        output::result(&format!("{document:#}"));
        return Ok(ExitCode::SUCCESS);
    }
    output::result(&match place {
        None => format!("there was no login of {registry}"),
        Some(place) if is_dry_run => {
            format!("to be logged out of {registry}: to be removed from {place}")
        }
        Some(place) => format!("logged out of {registry}: removed from {place}"),
    });
    Ok(ExitCode::SUCCESS)
}

/// The name and the password: those that the command line gives, or those that the person at the
/// terminal types.
fn credentials(args: &LoginArgs) -> anyhow::Result<(String, Secret)> {
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !args.password_stdin && !is_terminal {
        return Err(Misuse::new(
            "a login takes --username NAME, and --password-stdin with the password on standard \
             input",
        )
        .into());
    }
    let username = match &args.username {
        Some(username) => username.clone(),
        None if args.password_stdin => {
            return Err(Misuse::new("--password-stdin takes --username NAME").into());
        }
        None => ask_username()?,
    };
    if username.is_empty() || username.contains(':') {
        return Err(Misuse::new("--username is empty, or has a colon, which no name has").into());
    }
    let password = if args.password_stdin {
        password()?
    } else {
        ask_password()?
    };
    Ok((username, password))
}

fn ask_username() -> anyhow::Result<String> {
    write!(io::stderr(), "User: ").context("cannot ask for the user")?;
    let mut line = String::new();
    let read = io::stdin().lock().take(MAX_PASSWORD).read_line(&mut line);
    read.context("cannot read the user")?;
    Ok(line.trim().to_owned())
}

/// Asks for the password, which the terminal does not show.
fn ask_password() -> anyhow::Result<Secret> {
    let password = rpassword::prompt_password("Password: ");
    let password = password.context("cannot read the password")?;
    if password.is_empty() {
        bail!("no password was typed");
    }
    Ok(Secret::new(&password))
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
        bail!(
            "--password-stdin reads the password from a pipe, and standard input is a terminal: \
             leave the option out to be asked for it"
        );
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
