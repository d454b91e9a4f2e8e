//! `longshore sync`.

use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use longshore::aws::Objects;
use longshore::copy::Meter;
use longshore::deploy::{Access, Deploy, Survey};
use longshore::mirror::list::List;
use longshore::mirror::{Ledger, Planner, Report, Step, Sync, SyncOptions};
use serde_json::json;
use tokio::sync::Mutex;

use crate::dry_run;
use crate::fleet::Fleet;
use crate::output;
use crate::place::{Place, PlaceArgs};
use crate::progress::moved;

const EXAMPLES: &str = "\
Each image of the list is compared with its destinations by its digest, and copied where one lacks it
or has it otherwise. A run that was stopped goes on where it was when it is made again.

Exit status: 0 if every image is at its destinations, 1 if one is not, 2 for misuse, 3 if a dry run
found one that is to be copied.

Examples:
  longshore sync fleet.yaml --dry-run
  longshore sync fleet.yaml --report report.html --ledger ledger.json
  longshore sync s3://lists/fleet.yaml --json --concurrency 8";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SyncArgs {
    /// The list, YAML or JSON: a file, `s3://BUCKET/KEY`, or - for stdin.
    list: String,
    /// Copy nothing: report what would be copied, and what is at the destinations and not in the
    /// list.
    #[arg(long)]
    dry_run: bool,
    /// Write the report as JSON to this file. One whose name ends with .html is a page.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keep the tags that were written in this file: what the list prunes, it prunes of these.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Images copied at once.
    #[arg(long, value_name = "NUMBER", default_value = "4")]
    concurrency: NonZeroUsize,
    /// Print the report as JSON, and no progress.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) async fn run(args: SyncArgs) -> anyhow::Result<ExitCode> {
    let place = Place::start(&args.place).await?;
    let text = read_list(&args.list, &place).await?;
    let list = List::read(&text).with_context(|| format!("cannot use the list {}", args.list))?;
    let ledger = args.ledger.as_deref().map(LedgerFile::open).transpose()?;
    let planner = Planner::new(Arc::new(list), Survey::new(place.reach().clone()));
    let deploy: Arc<dyn Deploy> = Arc::new(place.deployer());
    let options = SyncOptions {
        dry_run: args.dry_run,
        concurrency: args.concurrency.get(),
    };
    let sync = Sync::new(planner, deploy, "mirror", options);
    let meter = Arc::new(Meter::default());
    let fleet = Fleet::show(&meter, args.json);
    let report = sync
        .run(
            ledger.as_ref().map(|file| &file.ledger),
            &meter,
            &|step: Step<'_>| fleet.tell(step),
        )
        .await;
    drop(fleet);
    place.stop().await;
    ledger.map(LedgerFile::save).transpose()?;
    let mut report = report.with_context(|| format!("cannot run the list {}", args.list))?;
    report.mirror.clone_from(&args.list);
    if let Some(path) = &args.report {
        write(path, &written(&report, path))?;
    }
    show(&report, &meter, &args);
    Ok(code(&report))
}

async fn read_list(list: &str, place: &Place) -> anyhow::Result<Vec<u8>> {
    if list == "-" {
        let read = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
        return Ok(read.await?.context("cannot read the list of stdin")?.into());
    }
    let Some((bucket, key)) = list.strip_prefix("s3://").and_then(|at| at.split_once('/')) else {
        return std::fs::read(list).with_context(|| format!("cannot read the list {list}"));
    };
    let clients = place.reach().clients(&Access::default()).await;
    match Objects::new(clients, bucket).read(key).await? {
        Some(content) => Ok(content.to_vec()),
        None => bail!("there is no list at {list}"),
    }
}

/// A ledger, and the file that it is kept in: also where the run is stopped.
struct LedgerFile {
    path: PathBuf,
    ledger: Mutex<Ledger>,
    is_saved: bool,
}

impl LedgerFile {
    /// A ledger that is not there yet is empty.
    fn open(path: &Path) -> anyhow::Result<Self> {
        let ledger = match std::fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ledger::default(),
            text => {
                let text =
                    text.with_context(|| format!("cannot read the ledger {}", path.display()))?;
                let read = serde_json::from_slice(&text);
                read.with_context(|| format!("{} is no ledger of longshore sync", path.display()))?
            }
        };
        Ok(Self {
            path: path.to_owned(),
            ledger: Mutex::new(ledger),
            is_saved: false,
        })
    }

    fn save(mut self) -> anyhow::Result<()> {
        self.is_saved = true;
        write(&self.path, &format!("{:#}\n", json!(self.ledger.get_mut())))
    }
}

impl Drop for LedgerFile {
    fn drop(&mut self) {
        if self.is_saved {
            return;
        }
        let text = format!("{:#}\n", json!(self.ledger.get_mut()));
        if let Err(error) = write(&self.path, &text) {
            output::warn(&format!("longshore: {error:#}"));
        }
    }
}

/// Writes a file whole: beside its name first, so that a run that is stopped leaves the old one.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let writing = || -> anyhow::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    writing().with_context(|| format!("cannot write {}", path.display()))
}

fn written(report: &Report, path: &Path) -> String {
    match path.extension() {
        Some(extension) if extension == "html" => report.html(),
        _ => format!("{:#}\n", json!(report)),
    }
}

fn show(report: &Report, meter: &Meter, args: &SyncArgs) {
    if args.json {
        output::result(&format!("{:#}", json!(report)));
        return;
    }
    for extra in &report.drift.extra {
        let names: Vec<_> = extra.tags.iter().map(ToString::to_string).collect();
        let more = extra.count - names.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        output::result(&format!(
            "not in the list: {}: {}{more}",
            extra.repository,
            names.join(", ")
        ));
    }
    for (repository, reason) in &report.drift.unseen {
        output::warn(&format!("not looked at: {repository}: {reason}"));
    }
    for tag in &report.pruned.removed {
        output::result(&format!("pruned: {tag}"));
    }
    for (tag, reason) in &report.pruned.failed {
        output::warn(&format!("not pruned: {tag}: {reason}"));
    }
    if !args.dry_run {
        output::note(&moved(&meter.report()));
    }
    output::note(&report.sentence());
}

fn code(report: &Report) -> ExitCode {
    let is_pruned = report.pruned.failed.is_empty() && report.pruned.withheld.is_none();
    let totals = &report.totals;
    match totals.failed + totals.deferred {
        0 if totals.planned > 0 => dry_run::status(true),
        0 if is_pruned => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
