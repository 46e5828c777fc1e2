//! How a program is told to end before it is done.

use tokio::sync::watch;

/// Ends programs that have a clone of it in their [`Stay`](crate::Stay): they tell the other side,
/// leave the room, and return [`Error::Stopped`](crate::Error::Stopped).
///
/// ```
/// let stop = jackfield_connect::Stop::default();
/// let clone = stop.clone();
/// clone.stop();
/// assert!(stop.is_stopped());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// Ends the programs, those that begin later included.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Returns whether [`Stop::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when [`Stop::stop`] was called.
    pub async fn stopped(&self) {
        let mut stopped = self.0.subscribe();
        // Its sender is `self`.
        let _never_closed = stopped.wait_for(|stopped| *stopped).await;
    }
}
