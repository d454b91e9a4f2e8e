//! The report as a page that a person reads.

use maud::{DOCTYPE, Markup, html};

use super::Report;
use crate::mirror::outcome::Outcome;
use crate::mirror::run::Mode;

/// The most rows of a table. The JSON beside the page has more.
const MAX_ROWS: usize = 1000;
const MEBIBYTE: f64 = 1024.0 * 1024.0;
const STYLE: &str = "\
    body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:#1b1f24}\
    h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}table{border-collapse:collapse;width:100%}\
    th,td{text-align:left;vertical-align:top;padding:.35em .8em .35em 0;border-bottom:1px solid #d8dee4}\
    code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}.good{color:#1a7f37}.bad{color:#cf222e}";

impl Report {
    /// The report as a page in HTML that needs nothing else.
    pub fn html(&self) -> String {
        let is_dry = self.mode == Mode::DryRun;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width";
                    title { "Mirror " (self.mirror) }
                    style { (STYLE) }
                }
                body {
                    h1 { "Mirror " (self.mirror) }
                    @if !self.run.is_empty() { p { "Run " code { (self.run) } } }
                    @if is_dry { p { "A dry run: nothing was copied." } }
                    p class=(if self.is_current() { "good" } else { "bad" }) { (self.sentence()) }
                    (self.numbers())
                    (self.failures())
                    @if is_dry { (images("To be copied", &self.copied, self.totals.planned)) }
                    @else { (images("Copied", &self.copied, self.totals.copied)) }
                    (images("Left for a later run", &self.deferred, self.totals.deferred))
                    (self.drifts())
                    (self.prunings())
                }
            }
        };
        page.into_string()
    }

    fn numbers(&self) -> Markup {
        let totals = &self.totals;
        html! {
            table {
                tr {
                    th { "Images" } th { "Current" } th { "Copied" } th { "Failed" } th { "Deferred" }
                    th { "Not in the list" } th { "Pruned" } th { "Sent" }
                }
                tr {
                    td { (totals.images) } td { (totals.current) } td { (totals.copied) }
                    td { (totals.failed) } td { (totals.deferred) } td { (totals.extra) }
                    td { (totals.pruned) }
                    td { (format!("{:.1} MiB", totals.bytes_uploaded as f64 / MEBIBYTE)) }
                }
            }
        }
    }

    fn failures(&self) -> Markup {
        html! {
            @if !self.failed.is_empty() {
                h2 { "Failed" }
                table {
                    tr { th { "Image" } th { "Error" } th { "Why" } }
                    @for outcome in self.failed.iter().take(MAX_ROWS) {
                        tr {
                            td { code { (outcome.source) } }
                            td { code { (outcome.error.as_deref().unwrap_or_default()) } }
                            td { (outcome.reason.as_deref().unwrap_or_default()) }
                        }
                    }
                }
                (rest(self.totals.failed, self.failed.len()))
            }
        }
    }

    fn drifts(&self) -> Markup {
        let drift = &self.drift;
        html! {
            @if !drift.extra.is_empty() || !drift.unseen.is_empty() {
                h2 { "At the destinations, and not in the list" }
                table {
                    tr { th { "Repository" } th { "Tags" } th { "" } }
                    @for extra in drift.extra.iter().take(MAX_ROWS) {
                        tr {
                            td { code { (extra.repository) } }
                            td { (extra.count) }
                            td { code { (extra.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) } }
                        }
                    }
                    @for (repository, reason) in drift.unseen.iter().take(MAX_ROWS) {
                        tr { td { code { (repository) } } td { "?" } td { (reason) } }
                    }
                }
                (rest(drift.extra.len(), drift.extra.len()))
            }
        }
    }

    fn prunings(&self) -> Markup {
        let pruned = &self.pruned;
        html! {
            @if let Some(withheld) = &pruned.withheld { p class="bad" { (withheld) } }
            @if !pruned.removed.is_empty() || !pruned.failed.is_empty() {
                h2 { "Pruned" }
                table {
                    @for tag in pruned.removed.iter().take(MAX_ROWS) {
                        tr { td { code { (tag) } } td { "removed" } }
                    }
                    @for (tag, reason) in pruned.failed.iter().take(MAX_ROWS) {
                        tr { td { code { (tag) } } td class="bad" { (reason) } }
                    }
                }
                (rest(pruned.removed.len(), pruned.removed.len()))
            }
        }
    }
}

fn images(title: &str, outcomes: &[Outcome], total: usize) -> Markup {
    html! {
        @if !outcomes.is_empty() {
            h2 { (title) }
            table {
                tr { th { "Image" } th { "Destinations" } th { "Digest" } th { "Why" } }
                @for outcome in outcomes.iter().take(MAX_ROWS) {
                    tr {
                        td { code { (outcome.source) } }
                        td { @for place in &outcome.destinations { code { (place) } br; } }
                        td { code { (outcome.digest.as_ref().map(ToString::to_string).unwrap_or_default()) } }
                        td { (why(outcome)) }
                    }
                }
            }
            (rest(total, outcomes.len()))
        }
    }
}

fn why(outcome: &Outcome) -> String {
    let reason = outcome.reason.clone();
    reason.unwrap_or_else(|| outcome.why.map(|why| why.to_string()).unwrap_or_default())
}

/// Tells of the rows that a table does not have: those of `total`, of which the JSON names `named`.
fn rest(total: usize, named: usize) -> Markup {
    html! {
        @if total > MAX_ROWS {
            p {
                "And " (total - MAX_ROWS) " more, "
                @if named < total { "of which " (named - MAX_ROWS) " are " }
                "in the report's JSON."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::MAX_NAMED;
    use crate::mirror::outcome::Status;

    fn outcome(status: Status) -> Outcome {
        Outcome {
            id: "0".to_owned(),
            entry: 0,
            source: "h/a:1".to_owned(),
            status,
            why: None,
            digest: None,
            destinations: Vec::new(),
            error: None,
            reason: None,
            bytes_uploaded: 0,
            bytes_reused: 0,
        }
    }

    #[test]
    fn the_page_tells_where_its_other_rows_are() {
        let rest_of = |status: Status, count: usize| {
            let mut report = Report::default();
            (0..count).for_each(|_| report.add(outcome(status)));
            let page = report.html();
            let rest = page.split_once("<p>And ").map(|(_, rest)| rest);
            let rest = rest.and_then(|rest| rest.split_once("</p>"));
            rest.map(|(rest, _)| rest.to_owned())
        };
        for status in [Status::Copied, Status::Failed, Status::Deferred] {
            assert_eq!(rest_of(status, MAX_ROWS), None);
            let some = rest_of(status, MAX_ROWS + 1).unwrap();
            assert_eq!(some, "1 more, in the report's JSON.");
            let many = rest_of(status, 2 * MAX_NAMED).unwrap();
            let told = "19000 more, of which 9000 are in the report's JSON.";
            assert_eq!(many, told);
        }
    }

    #[test]
    fn what_others_wrote_is_text_on_the_page() {
        let mut report = Report {
            mirror: "<b>m</b>".to_owned(),
            ..Report::default()
        };
        report.add(Outcome {
            error: Some("Longshore.Denied".to_owned()),
            reason: Some("it says <script>alert(1)</script>".to_owned()),
            ..outcome(Status::Failed)
        });
        let page = report.html();
        assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
        assert!(!page.contains("<script>") && !page.contains("<b>m</b>"));
        assert!(page.contains("Longshore.Denied"));
    }
}
