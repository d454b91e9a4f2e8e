//! The order in which an archive is read that can only be read from the beginning on.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::store::Store;
use crate::content::{Order, Result};
use crate::oci::Digest;

/// The order of an archive's files, for those who know them by digest.
pub(super) struct ArchiveOrder<N> {
    store: Arc<Store>,
    /// The name of the file that a digest means.
    name: N,
}

impl<N: Fn(&Digest) -> String + Send + Sync + 'static> ArchiveOrder<N> {
    /// `None` where the files can be read in any order.
    pub(super) fn of(store: &Arc<Store>, name: N) -> Option<Arc<dyn Order>> {
        let store = Arc::clone(store);
        let order = store.is_sequential().then_some(Self { store, name });
        order.map(|order| Arc::new(order) as Arc<dyn Order>)
    }
}

impl<N: Fn(&Digest) -> String + Send + Sync> Order for ArchiveOrder<N> {
    fn next<'a>(&'a self, wanted: &'a [&'a Digest]) -> BoxFuture<'a, Result<usize>> {
        async move {
            let names: Vec<_> = wanted.iter().map(|digest| (self.name)(digest)).collect();
            Ok(self.store.next_of(&names).await?)
        }
        .boxed()
    }
}
