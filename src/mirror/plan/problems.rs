//! Faults of a list that show only when its tags are known: told all at once, before anything
//! moves.

use std::collections::HashSet;

use futures_util::future::join_all;

use super::{Planner, Selected, Tags};
use crate::mirror::list::{Conflicts, InvalidList, Problem};
use crate::mirror::shown;

/// The most images of a run: what is known of them is kept in memory.
const MAX_IMAGES: usize = 200_000;
/// The most problems that are collected: one is enough to stop, and a few say what it is about.
const MAX_PROBLEMS: usize = 100;

impl Planner {
    /// Checks what the list comes to with its tags: each filter matches something, no two images
    /// go to one tag, every destination is a reference, and roles can be assumed.
    pub async fn check(&self, tags: &Tags) -> Result<(), InvalidList> {
        let images = tags.images();
        if images > MAX_IMAGES {
            let text = format_args!(
                "the list means {images} images, and a run takes at most {MAX_IMAGES}: narrow its \
                 filters, or make two lists of it"
            );
            return Err(InvalidList::new(vec![Problem::of_list(text)]));
        }
        let mut problems = self.unmatched(tags);
        problems.extend(self.of_images(tags));
        problems.extend(self.of_roles().await);
        problems.truncate(MAX_PROBLEMS);
        if problems.is_empty() {
            return Ok(());
        }
        Err(InvalidList::new(problems))
    }

    fn unmatched(&self, tags: &Tags) -> Vec<Problem> {
        let entries = self.list.entries.iter().zip(&tags.0);
        entries
            .filter(|(_, selected)| matches!(selected, Selected::Tags(tags) if tags.is_empty()))
            .map(|(entry, _)| {
                let repository = entry.source().repository();
                entry.problem(format_args!(
                    "the filter matches none of the tags of {repository}"
                ))
            })
            .collect()
    }

    fn of_images(&self, tags: &Tags) -> Vec<Problem> {
        let mut conflicts = Conflicts::default();
        let mut problems = Vec::new();
        for (entry, selected) in self.list.entries.iter().zip(&tags.0) {
            for tag in selected.each() {
                if problems.len() >= MAX_PROBLEMS {
                    return problems;
                }
                let targets = match entry.destinations(tag) {
                    Ok(targets) => targets,
                    Err(problem) => {
                        problems.push(problem);
                        continue;
                    }
                };
                for target in &targets {
                    for name in &target.tags {
                        let reference = target.repository.tagged(name);
                        problems.extend(conflicts.take(entry, &reference));
                    }
                }
            }
        }
        problems
    }

    /// Each role is tried once, for the first entry that names it.
    async fn of_roles(&self) -> Vec<Problem> {
        let mut seen = HashSet::new();
        let mut trying = Vec::new();
        for entry in &self.list.entries {
            for access in entry.accesses() {
                let Some(role) = &access.role else { continue };
                if seen.insert(role.clone()) {
                    trying.push(async move { (entry, self.survey.assume(access).await) });
                }
            }
        }
        let tried = join_all(trying).await.into_iter();
        tried
            .filter_map(|(entry, assumed)| {
                let error = assumed.err()?;
                Some(entry.problem(shown(&*error)))
            })
            .collect()
    }
}
