//! `longshore delete`.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use longshore::deploy::Deletion;
use serde_json::json;

use crate::args::DeleteArgs;
use crate::misuse::Misuse;
use crate::output;
use crate::place::Place;

pub(crate) async fn run(args: DeleteArgs) -> anyhow::Result<ExitCode> {
    let asks = !args.yes && !args.dry_run;
    if asks && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Misuse::new(format!(
            "nobody can be asked whether to delete {} where no terminal is: --yes deletes without \
             asking, --dry-run says what would be deleted",
            args.reference
        ))
        .into());
    }
    let side = args.destination_side.clone().side();
    let access = side.access(
        &[args.reference.repository().registry()]
            .into_iter()
            .collect(),
    )?;
    let place = Place::start(&args.place).await?;
    let deletion = place.reach().deletion(&args.reference, &access).await?;
    if asks && !is_confirmed(&deletion)? {
        output::warn("nothing was deleted");
        return Ok(ExitCode::FAILURE);
    }
    if !args.dry_run {
        deletion.run().await?;
    }
    show(&deletion, &args);
    place.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Asks the person at the terminal.
fn is_confirmed(deletion: &Deletion) -> anyhow::Result<bool> {
    output::warn(&format!("to be deleted: {}", sentence(deletion)));
    write!(io::stderr(), "Delete it? [y/N] ").context("cannot ask")?;
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.context("cannot read the answer")?;
    let answer = answer.trim().to_lowercase();
    Ok(answer == "y" || answer == "yes")
}

fn show(deletion: &Deletion, args: &DeleteArgs) {
    if args.json {
        let document = json!({
            "name": args.reference.to_string(),
            "digest": deletion.digest(),
            "tag": deletion.tag(),
            "otherTags": deletion.other_tags(),
            "manifestDeleted": deletion.takes_manifest(),
            "dryRun": args.dry_run,
        });
        output::result(&format!("{document:#}"));
        return;
    }
    let done = if args.dry_run {
        "to be deleted"
    } else {
        "deleted"
    };
    output::result(&format!("{done}: {}", sentence(deletion)));
}

/// What is deleted, and what stays.
fn sentence(deletion: &Deletion) -> String {
    let (name, digest) = (deletion.reference(), deletion.digest());
    let others = deletion.other_tags();
    let listed = others.map(|tags| {
        let tags: Vec<_> = tags.into_iter().map(ToString::to_string).collect();
        tags.join(", ")
    });
    let tags = match (deletion.tag(), listed.as_deref()) {
        (Some(_), Some("")) => format!(", and the image {digest}, of which it is the last tag"),
        (Some(_), Some(tags)) => format!("; the image {digest} stays as {tags}"),
        (Some(_), None) => format!("; the image {digest} stays"),
        (None, Some("")) => ", which has no tag".to_owned(),
        (None, Some(tags)) => format!(", with its tags {tags}"),
        (None, None) => ", with every tag that points to it".to_owned(),
    };
    let entries = match deletion.manifests() {
        0 => "",
        _ if deletion.takes_manifest() => "; the images that the index lists stay",
        _ => "",
    };
    format!("{name}{tags}{entries}")
}
