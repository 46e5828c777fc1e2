//! Values of the application that live as long as a socket.

use std::fmt;
use std::sync::Mutex;

use crate::sync::lock;

/// Values of the application that live as long as a socket, one of each type.
#[derive(Default)]
pub struct Extensions(Mutex<http::Extensions>);

impl Extensions {
    /// Puts a value in and returns the one of the same type that was there.
    pub fn insert<T: Clone + Send + Sync + 'static>(&self, value: T) -> Option<T> {
        lock(&self.0).insert(value)
    }

    /// Returns a clone of the value of this type.
    #[must_use]
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        lock(&self.0).get().cloned()
    }

    /// Takes the value of this type out.
    pub fn remove<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        lock(&self.0).remove()
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").finish_non_exhaustive()
    }
}
