//! Interceptors: what looks at events between source and channel.

use std::{any::Any, sync::Arc};

use async_trait::async_trait;

use crate::{
    batch::Batch,
    error::{BoxError, InterceptorError},
    state::StateStore,
    swap::{SwapStatus, Takeover},
};

/// May drop, rewrite, split or divert events. Shared by all connections of a source.
#[async_trait]
pub trait Interceptor: Send + Sync {
    /// Changes a batch. Must be safe to repeat: after a failed commit the same events come again.
    ///
    /// # Errors
    /// The batch is refused whole and nothing is acknowledged. A single bad event is diverted to the
    /// dead-letter channel instead ([`Batch::divert`]).
    ///
    /// # Cancel safety
    /// A dropped call has changed nothing that outlives the batch.
    async fn intercept(&self, batch: Batch) -> Result<Batch, InterceptorError>;

    /// The state it works on, if it has one: the pipeline fills it with what a former run left.
    fn state(&self) -> Option<Arc<StateStore>> {
        None
    }

    /// Itself, so that its next version can recognise it.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }

    /// Called on a new version that is to take the place of `before`, as the last step that can fail: takes over what
    /// `before` keeps in memory. None: there is nothing to take over.
    ///
    /// # Errors
    /// The replacement is refused and `before` goes on.
    async fn take_over(&self, _before: &dyn Interceptor) -> Result<Option<Box<dyn Takeover>>, BoxError> {
        Ok(None)
    }

    /// How its own replacement of the version before went, if there was one.
    fn swap_status(&self) -> Option<SwapStatus> {
        None
    }

    /// Called once, after the last batch, when a reload or a shutdown retires it.
    async fn close(&self) {}
}
