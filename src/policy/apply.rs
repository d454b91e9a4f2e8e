//! Bringing the policy of a repository to what an owner asks for.
//!
//! ECR has no conditional write, so two writers that read the same policy can overwrite each
//! other. Every writer therefore looks again, a while after it wrote, whether its own statements
//! are still there, and merges them again where they are not: as long as a writer takes less time
//! from its read to its write than others wait before they look, nothing is lost.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::error::Suspects;
use super::{
    Document, Error, MAX_POLICY_CHARACTERS, OwnedStatement, Owner, PolicyStore, StoreError,
};

/// Writes until the policy counts as contended.
const MAX_WRITES: u32 = 8;
/// Shortest wait between a write and the look at what became of it.
const SETTLE: Duration = Duration::from_millis(750);
/// How many times as long as from this writer's read to its write others are given for theirs.
const OTHERS: u32 = 3;
/// The time that IAM is given to make a new role known everywhere.
const PROPAGATION: Duration = Duration::from_mins(2);
/// The time that it is given where ECR does not say that it is for a principal: it has answered an
/// unknown one with no more than a refusal.
const REFUSAL: Duration = Duration::from_secs(20);
/// Longest wait between two attempts to write a principal that is not known yet.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The result for a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The repository's whole policy, without white space. Empty where it has none.
    pub text: String,
    /// The number of times that it was written: 0 where everything was there already.
    pub writes: u32,
}

/// Makes `statements` the owner's statements in the policy of a repository, and leaves everything
/// else in it as it is. Ends by `deadline`.
pub async fn apply(
    store: &dyn PolicyStore,
    owner: &Owner,
    statements: &[OwnedStatement],
    deadline: Instant,
) -> Result<Applied, Error> {
    let work = Work::new(store, owner, statements, deadline);
    work.in_time(work.run()).await
}

/// Finds out what [`apply()`] would write, and writes nothing. `writes` is 1 where the policy would
/// change, and `text` is the policy that it would have then. Ends by `deadline`.
pub async fn preview(
    store: &dyn PolicyStore,
    owner: &Owner,
    statements: &[OwnedStatement],
    deadline: Instant,
) -> Result<Applied, Error> {
    let work = Work::new(store, owner, statements, deadline);
    let found = match work.in_time(work.read()).await {
        // As for `withdraw`: there is nothing to take away.
        Err(Error::Store(StoreError::RepositoryNotFound(_))) if statements.is_empty() => None,
        found => found?,
    };
    let found = found.unwrap_or_default();
    let is_held = found.holds(owner, statements);
    let wanted = if is_held { found } else { work.merged(&found)? };
    Ok(Applied {
        text: if wanted.is_empty() {
            String::new()
        } else {
            wanted.to_string()
        },
        writes: u32::from(!is_held),
    })
}

/// Returns true if `statements` are the owner's statements in the policy of a repository already,
/// and the only ones. Ends by `deadline`.
pub async fn holds(
    store: &dyn PolicyStore,
    owner: &Owner,
    statements: &[OwnedStatement],
    deadline: Instant,
) -> Result<bool, Error> {
    let work = Work::new(store, owner, statements, deadline);
    let found = work.in_time(work.read()).await?;
    Ok(found.unwrap_or_default().holds(owner, statements))
}

/// Removes the owner's statements from the policy of a repository, and the policy where no other
/// is left. A repository that is gone has none. Ends by `deadline`.
pub async fn withdraw(
    store: &dyn PolicyStore,
    owner: &Owner,
    deadline: Instant,
) -> Result<Applied, Error> {
    match apply(store, owner, &[], deadline).await {
        Err(Error::Store(StoreError::RepositoryNotFound(_))) => Ok(Applied {
            text: String::new(),
            writes: 0,
        }),
        other => other,
    }
}

struct Work<'a> {
    store: &'a dyn PolicyStore,
    owner: &'a Owner,
    statements: &'a [OwnedStatement],
    deadline: Instant,
}

impl<'a> Work<'a> {
    fn new(
        store: &'a dyn PolicyStore,
        owner: &'a Owner,
        statements: &'a [OwnedStatement],
        deadline: Instant,
    ) -> Self {
        Self {
            store,
            owner,
            statements,
            deadline,
        }
    }

    /// Returns the result of `work`, if it ends by the deadline.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let ended = timeout_at(self.deadline, work).await;
        ended.unwrap_or_else(|_| {
            Err(Error::Deadline {
                repository: self.name(),
            })
        })
    }

    async fn run(&self) -> Result<Applied, Error> {
        let mut writes = 0;
        let mut patience = Patience::new(self.deadline);
        loop {
            let since = Instant::now();
            let current = self.read().await?;
            let found = current.clone().unwrap_or_default();
            if found.holds(self.owner, self.statements) {
                let text = current.map(|document| document.to_string());
                return Ok(Applied {
                    text: text.unwrap_or_default(),
                    writes,
                });
            }
            if writes == MAX_WRITES {
                return Err(Error::Contended {
                    repository: self.name(),
                    writes,
                });
            }
            let wanted = self.merged(&found)?;
            match self.write(&wanted).await {
                Ok(()) => {
                    writes += 1;
                    let settle = SETTLE.max(since.elapsed() * OTHERS);
                    sleep(settle + jitter(settle * writes)).await;
                }
                Err(error) if self.may_become_known(&error, &patience) => patience.wait().await,
                Err(error) => return Err(self.explain(error, &wanted, &patience)),
            }
        }
    }

    async fn read(&self) -> Result<Option<Document>, Error> {
        let text = self.store.get().await.map_err(Error::Store)?;
        let document = text.map(|text| Document::parse(&text)).transpose();
        document.map_err(|source| Error::Malformed {
            repository: self.name(),
            source,
        })
    }

    /// The document with the owner's statements, checked for what ECR would refuse unexplained.
    fn merged(&self, found: &Document) -> Result<Document, Error> {
        let variable = self.statements.iter().find(|own| own.has_variable());
        if let Some(own) = variable.filter(|_| !found.has_variables()) {
            return Err(Error::Variable {
                repository: self.name(),
                sid: own.sid().to_owned(),
            });
        }
        let wanted = found.with(self.owner, self.statements);
        let size = wanted.to_string().chars().count();
        if size > MAX_POLICY_CHARACTERS && !self.statements.is_empty() {
            let lengths = self.statements.iter();
            let own = lengths.map(|own| own.as_json().to_string().chars().count());
            return Err(Error::TooLarge {
                repository: self.name(),
                size,
                own: own.sum(),
            });
        }
        Ok(wanted)
    }

    async fn write(&self, wanted: &Document) -> Result<(), StoreError> {
        if wanted.is_empty() {
            return self.store.delete().await;
        }
        self.store.set(&wanted.to_string(), false).await
    }

    /// Returns true if ECR may take the same policy later: it names a role or user that may be new.
    fn may_become_known(&self, error: &StoreError, patience: &Patience) -> bool {
        let longest = match error {
            StoreError::PrincipalNotFound(_) => PROPAGATION,
            StoreError::Refused(_) => REFUSAL,
            _ => return false,
        };
        !self.named().is_empty() && patience.lasts(longest)
    }

    fn explain(&self, error: StoreError, wanted: &Document, patience: &Patience) -> Error {
        let suspects = Box::new(Suspects {
            named: self.named(),
            orphans: wanted.orphans(),
            denials: wanted.denials(),
        });
        let repository = self.name();
        match error {
            StoreError::PrincipalNotFound(_) => Error::PrincipalNotFound {
                repository,
                waited: patience.since.elapsed(),
                suspects,
                source: error,
            },
            StoreError::Refused(_) => Error::Refused {
                repository,
                suspects,
                source: error,
            },
            _ => Error::Store(error),
        }
    }

    fn named(&self) -> Vec<String> {
        let named = self.statements.iter().flat_map(OwnedStatement::identities);
        named.map(str::to_owned).collect()
    }

    fn name(&self) -> String {
        self.store.name().to_owned()
    }
}

/// The time that a principal that is not known is waited for.
struct Patience {
    since: Instant,
    pause: Duration,
    deadline: Instant,
}

impl Patience {
    fn new(deadline: Instant) -> Self {
        Self {
            since: Instant::now(),
            pause: Duration::from_secs(1),
            deadline,
        }
    }

    /// Returns true if another attempt, and the look at what became of it, lies within `longest`
    /// and the deadline.
    fn lasts(&self, longest: Duration) -> bool {
        let next = Instant::now() + self.pause * 2;
        next < self.since + longest && next + SETTLE * 4 < self.deadline
    }

    async fn wait(&mut self) {
        sleep(self.pause + jitter(self.pause)).await;
        self.pause = (self.pause * 2).min(MAX_PAUSE);
    }
}

fn jitter(most: Duration) -> Duration {
    most.mul_f64(fastrand::f64())
}
