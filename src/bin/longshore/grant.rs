//! `longshore grant`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use longshore::deploy::{Access, Deploy, Granted, PolicyPart, arn_of, repository_named};
use longshore::oci::Repository;
use longshore::policy::{Grants, Owner, Principal, Principals, Service};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::args::GrantArgs;
use crate::dry_run::status;
use crate::output;
use crate::place::Place;

/// The longest time that is taken, a new role's propagation included.
const TIME: Duration = Duration::from_mins(5);

pub(crate) async fn run(args: GrantArgs) -> anyhow::Result<ExitCode> {
    let grants = grants(&args)?;
    let repository = repository_named(&args.repository, None)?;
    let part = PolicyPart {
        owner: owner(&repository, &grants)?,
        repository,
        access: Access::default(),
    };
    let place = Place::start(&args.place).await?;
    let deployer = place.deployer();
    let deadline = Instant::now() + TIME;
    let mut code = ExitCode::SUCCESS;
    if args.dry_run {
        let grants = (!args.revoke).then_some(&grants);
        let preview = place
            .reach()
            .preview_policy(&part, grants, deadline)
            .await?;
        show_preview(&preview, &args);
        code = status(preview.writes > 0);
    } else if args.revoke {
        let revoked = deployer.revoke(&part, deadline).await;
        revoked.map_err(anyhow::Error::from_boxed)?;
        show_revoked(&part, args.json);
    } else {
        let granted = deployer.grant(&part, &grants, deadline).await;
        show(&granted.map_err(anyhow::Error::from_boxed)?, args.json);
    }
    place.stop().await;
    Ok(code)
}

fn grants(args: &GrantArgs) -> anyhow::Result<Grants> {
    let accounts = args.accounts.iter().cloned().map(Principal::Account);
    let principals: Vec<Principal> = accounts.chain(args.principals.iter().cloned()).collect();
    let services = args
        .services
        .iter()
        .map(|name| Service::new(name, args.source_arns.clone(), args.source_accounts.clone()));
    let grants = Grants {
        principals: (!principals.is_empty())
            .then(|| Principals::always(principals))
            .into_iter()
            .collect(),
        services: services.collect::<Result<_, _>>()?,
        organizations: args.organizations.clone(),
        statements: Vec::new(),
        actions: args.actions.clone(),
    };
    if grants.is_empty() {
        bail!("nobody is named: give --account, --principal, --service or --organization");
    }
    Ok(grants)
}

/// Each grant is an owner of its own, so that one does not replace another, and the same grant is
/// found again to be revoked.
fn owner(repository: &Repository, grants: &Grants) -> anyhow::Result<Owner> {
    let arn = arn_of(repository).unwrap_or_default();
    let partition = arn.split(':').nth(1).unwrap_or_default();
    let statements = grants.statements(&Owner::new("", ""), partition)?;
    let texts = statements.iter().map(|own| own.as_json().to_string());
    Ok(Owner::new(&texts.collect::<String>(), "Grant"))
}

fn show_revoked(part: &PolicyPart, json: bool) {
    if json {
        let document = json!({"repositoryArn": arn_of(&part.repository), "revoked": true});
        return output::result(&format!("{document:#}"));
    }
    output::note("revoked");
}

/// Shows the policy as it would be.
fn show_preview(preview: &Granted, args: &GrantArgs) {
    let policy: Value = preview.policy.parse().unwrap_or_default();
    let is_changed = preview.writes > 0;
    if args.json {
        let document = json!({
            "dryRun": true,
            "repositoryArn": preview.repository_arn,
            "policy": policy,
            "sids": preview.sids,
            "changes": is_changed,
        });
        return output::result(&format!("{document:#}"));
    }
    output::note(match (args.revoke, is_changed) {
        (false, true) => "to be granted: the policy would be",
        (false, false) => "nothing to do: everything is granted already",
        (true, true) => "to be revoked: the policy would be",
        (true, false) => "nothing to do: nothing of this is granted",
    });
    output::result(&format!("{policy:#}"));
}

fn show(granted: &Granted, json: bool) {
    let policy: Value = granted.policy.parse().unwrap_or_default();
    if json {
        let document = json!({
            "repositoryArn": granted.repository_arn,
            "policy": policy,
            "sids": granted.sids,
            "writes": granted.writes,
        });
        return output::result(&format!("{document:#}"));
    }
    output::note(match granted.writes {
        0 => "everything was granted already",
        _ => "granted",
    });
    output::result(&format!("{policy:#}"));
}
