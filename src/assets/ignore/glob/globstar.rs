//! Matching the names of a path against the segments of a glob, `**` among them.

use super::segment::Segment;

/// The number of `**` of a glob that are followed before it is taken not to match.
const DEPTH: usize = 200;

/// Returns true if the whole path is what the glob says.
pub(super) fn matches(names: &[&str], glob: &[Segment]) -> bool {
    let is_any = |segment: &Segment| matches!(segment, Segment::AnyDirectories);
    let (Some(first), Some(last)) = (glob.iter().position(is_any), glob.iter().rposition(is_any))
    else {
        return names.len() == glob.len() && agree(names, glob);
    };
    let (head, tail) = (&glob[..first], &glob[last + 1..]);
    if head.len() + tail.len() > names.len() {
        return false;
    }
    let (start, end) = (head.len(), names.len() - tail.len());
    if !agree(&names[..start], head) || !agree(&names[end..], tail) {
        return false;
    }
    if first == last {
        // What ends in `**` is something within the directory, not the directory itself.
        return (!tail.is_empty() || start < end) && all_visible(&names[start..end]);
    }
    let sections = Sections::new(glob[first + 1..last].split(is_any).collect(), end);
    sections.follow(names, start, 0, !tail.is_empty()) == Some(true)
}

fn agree(names: &[&str], glob: &[Segment]) -> bool {
    names
        .iter()
        .zip(glob)
        .all(|(name, segment)| segment.matches(name))
}

/// `**` stands for no hidden name.
fn all_visible(names: &[&str]) -> bool {
    names.iter().all(|name| is_visible(name))
}

fn is_visible(name: &str) -> bool {
    !name.starts_with('.')
}

/// The sections between the `**` of a glob, each with the last place that is tried for it.
struct Sections<'a>(Vec<(&'a [Segment], Option<usize>)>);

impl<'a> Sections<'a> {
    /// `end` is where the path's names end that are left for the sections.
    ///
    /// The room to be left behind a section is counted by the library from the wrong end, and so
    /// it is here: with sections of different lengths, some places are not tried.
    fn new(sections: Vec<&'a [Segment]>, end: usize) -> Self {
        let before = sections.iter().scan(0, |sum, section| {
            let before = *sum;
            *sum += section.len();
            Some(before)
        });
        let mut rooms: Vec<usize> = before.collect();
        rooms.reverse();
        let last_place = |(section, room): (&'a [Segment], usize)| {
            (section, end.checked_sub(room + section.len()))
        };
        Self(sections.into_iter().zip(rooms).map(last_place).collect())
    }

    /// Finds the sections from the one at `index` on, in their order. `None`: no later place of
    /// an earlier one can help.
    fn follow(
        &self,
        names: &[&str],
        mut from: usize,
        index: usize,
        saw_tail: bool,
    ) -> Option<bool> {
        let Some((section, last_place)) = self.0.get(index) else {
            let found = all_visible(&names[from..]) && (saw_tail || from < names.len());
            return Some(found);
        };
        let last_place = (*last_place)?;
        while from <= last_place {
            let next = from + section.len();
            if index < DEPTH && agree(&names[from..next], section) {
                match self.follow(names, next, index + 1, saw_tail) {
                    Some(false) => {}
                    found => return found,
                }
            }
            if !is_visible(names[from]) {
                return Some(false);
            }
            from += 1;
        }
        None
    }
}
