//! Which tags of a repository can be moved, by the settings that ECR keeps for it
//! ([`ImageTagMutability`](https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImageTagMutability.html)).

use std::io;

use serde_json::Value;

use super::service::RegistryService;

/// The note that has a repository's settings.
pub(in crate::local) const SETTINGS: &str = "settings";

impl RegistryService {
    /// Returns true if a tag that is set stays as it is.
    pub(super) async fn is_immutable(&self, name: &str, tag: &str) -> io::Result<bool> {
        if self.options.immutable_tags {
            return Ok(true);
        }
        let settings = self.store.note(name, SETTINGS).await?.unwrap_or_default();
        let settings = serde_json::from_str(&settings).unwrap_or_default();
        Ok(holds(&settings, tag))
    }
}

fn holds(settings: &Value, tag: &str) -> bool {
    let filters = settings["imageTagMutabilityExclusionFilters"].as_array();
    let mut filters = filters.into_iter().flatten();
    let excluded =
        filters.any(|filter| matches(filter["filter"].as_str().unwrap_or_default(), tag));
    match settings["imageTagMutability"].as_str() {
        Some("IMMUTABLE") => true,
        Some("IMMUTABLE_WITH_EXCLUSION") => !excluded,
        Some("MUTABLE_WITH_EXCLUSION") => excluded,
        _ => false,
    }
}

/// Returns true if a filter, in which `*` stands for anything, matches the whole tag.
fn matches(filter: &str, tag: &str) -> bool {
    match filter.split_once('*') {
        None => filter == tag,
        Some((start, rest)) => tag.strip_prefix(start).is_some_and(|tag| {
            let mut ends = tag.char_indices().map(|(at, _)| at).chain([tag.len()]);
            ends.any(|at| matches(rest, &tag[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filters_exclude() {
        let filters = json!([{"filterType": "WILDCARD", "filter": "dev-*"}]);
        for (mode, release, dev) in [
            ("MUTABLE", false, false),
            ("IMMUTABLE", true, true),
            ("IMMUTABLE_WITH_EXCLUSION", true, false),
            ("MUTABLE_WITH_EXCLUSION", false, true),
        ] {
            let settings = json!({
                "imageTagMutability": mode,
                "imageTagMutabilityExclusionFilters": filters,
            });
            assert_eq!(holds(&settings, "1.0"), release, "{mode}");
            assert_eq!(holds(&settings, "dev-1"), dev, "{mode}");
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (filter, tag, expected) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acd", false),
            ("*b*", "abc", true),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(filter, tag), expected, "{filter} {tag}");
        }
    }
}
