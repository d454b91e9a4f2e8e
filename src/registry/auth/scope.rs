//! The scope of a token
//! ([token scope documentation](https://distribution.github.io/distribution/spec/auth/scope/)).

use std::collections::{BTreeMap, BTreeSet};

/// The access that a request needs to its repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Access<'a> {
    /// Reads from it.
    Pull,
    /// Reads and writes.
    Push,
    /// Writes to it what another repository of the same registry has.
    MountFrom(&'a str),
    /// Removes from it.
    Delete,
    /// Asks the registry itself who is let in.
    Login,
}

/// Resources with the actions on each, such as `repository:app` with `pull` and `push`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::registry) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    pub(in crate::registry) fn of(repository: &str, access: Access<'_>) -> Self {
        let mut scopes = Self::default();
        let (actions, from): (&[_], _) = match access {
            Access::Pull => (&["pull"], None),
            Access::Push => (&["pull", "push"], None),
            Access::MountFrom(from) => (&["pull", "push"], Some(from)),
            Access::Delete => (&["delete", "pull"], None),
            Access::Login => return scopes,
        };
        scopes.allow(format!("repository:{repository}"), actions);
        if let Some(from) = from {
            scopes.allow(format!("repository:{from}"), &["pull"]);
        }
        scopes
    }

    fn allow(&mut self, resource: String, actions: &[&str]) {
        let actions = actions.iter().map(|&action| action.to_owned());
        self.0.entry(resource).or_default().extend(actions);
    }

    /// Adds the scopes that a challenge asks for, separated by spaces.
    pub(in crate::registry) fn add(&mut self, asked: &str) {
        for scope in asked.split_ascii_whitespace() {
            let Some((resource, actions)) = scope.rsplit_once(':') else {
                continue;
            };
            let actions: Vec<_> = actions.split(',').collect();
            self.allow(resource.to_owned(), &actions);
        }
    }

    /// Returns true if a token for these serves for all of `needed`.
    pub(in crate::registry) fn cover(&self, needed: &Self) -> bool {
        needed.0.iter().all(|(resource, actions)| {
            self.0
                .get(resource)
                .is_some_and(|allowed| actions.is_subset(allowed))
        })
    }

    /// Each scope as it is sent.
    pub(in crate::registry) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(resource, actions)| {
            let actions: Vec<_> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_needed() {
        let texts: Vec<_> = Scopes::of("b", Access::MountFrom("a")).texts().collect();
        assert_eq!(texts, ["repository:a:pull", "repository:b:pull,push"]);
    }

    #[test]
    fn a_token_for_more_serves_for_less() {
        let pull = Scopes::of("a", Access::Pull);
        let push = Scopes::of("a", Access::Push);
        assert!(push.cover(&pull));
        assert!(!pull.cover(&push));
        assert!(!push.cover(&Scopes::of("b", Access::Pull)));
    }

    #[test]
    fn takes_what_a_challenge_asks_for() {
        let mut scopes = Scopes::of("a", Access::Pull);
        scopes.add("repository:a:push registry:catalog:* nonsense");
        let texts: Vec<_> = scopes.texts().collect();
        assert_eq!(texts, ["registry:catalog:*", "repository:a:pull,push"]);
    }
}
