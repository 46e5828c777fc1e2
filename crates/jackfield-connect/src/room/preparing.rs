//! ICE servers that the connector prepares for.

use serde_json::Value;
use tokio::task::JoinHandle;

/// ICE servers that the connector prepares for.
pub(super) struct Preparing {
    pub(super) servers: Value,
    pub(super) task: JoinHandle<()>,
}

impl Preparing {
    /// Waits until that is done; for ever if there is nothing. Dropping the future loses nothing.
    pub(super) async fn done(preparing: &mut Option<Self>) {
        match preparing {
            Some(preparing) => {
                if let Err(error) = (&mut preparing.task).await {
                    tracing::error!(%error, "The task that prepares for ICE servers failed");
                }
            }
            None => std::future::pending().await,
        }
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        self.task.abort();
    }
}
