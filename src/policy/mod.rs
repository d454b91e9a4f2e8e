//! Repository policies: who may pull from an ECR repository.
//!
//! A repository has one policy document, and writing it replaces it. Longshore shares it with
//! whoever else writes it: [`Grants`] become statements under Sids that one [`Owner`] recognises as
//! its own, a [`Document`] takes them in beside what others wrote, and [`apply()`] reads, merges,
//! compares, writes and reads back, so that nothing is written that is there already and nothing
//! of others is lost. [`withdraw`] removes the owner's statements, and the policy where nothing
//! else is left.
//!
//! Nothing here names an SDK: a [`PolicyStore`] holds the policy of one repository.

mod action;
mod apply;
mod canonical;
mod condition;
mod document;
mod error;
mod grants;
mod invalid_grant;
mod organization;
mod owner;
mod principal;
mod service;
mod statement;
mod store;
#[cfg(test)]
mod tests;

pub use action::{Action, PULL_ACTIONS, READ_ACTIONS};
pub use apply::{Applied, apply, holds, preview, withdraw};
pub use document::{Document, MAX_POLICY_CHARACTERS, MalformedPolicy};
pub use error::{Error, Suspects};
pub use grants::Grants;
pub use invalid_grant::InvalidGrant;
pub use organization::Organization;
pub use owner::Owner;
pub use principal::{AccountId, Principal, Principals};
pub use service::Service;
pub use statement::{OwnedStatement, Statement};
pub use store::{PolicyStore, StoreError};
