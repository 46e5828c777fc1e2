//! What an adapter knows of the namespace that owns it.

use std::fmt;
use std::sync::Weak;

use crate::server::Namespace;
use crate::server::namespace::NamespaceInner;

/// A namespace, for its adapter: the namespace owns the adapter, so the adapter must not own the
/// namespace.
#[derive(Clone)]
pub struct WeakNamespace {
    pub(crate) name: bytestring::ByteString,
    pub(crate) inner: Weak<NamespaceInner>,
}

impl WeakNamespace {
    /// Returns the namespace's name, `/` for the main one.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the namespace; `None` while it is being made, and once its server has gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Namespace> {
        self.inner.upgrade().map(Namespace)
    }
}

impl fmt::Debug for WeakNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakNamespace").field(&self.name).finish()
    }
}
