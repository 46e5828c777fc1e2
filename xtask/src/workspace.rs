//! Where things are in the checkout.

use std::path::{Path, PathBuf};

/// The folder that holds the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the manifest is one folder below the root")
}

/// The suites against stock peers.
pub(crate) fn interop() -> PathBuf {
    root().join("interop")
}
