//! Configuration: what was typed becomes what is meant, in one step that can fail.
//!
//! [`Low`] is flat text from file, environment and flags; [`Config::resolve`] parses and checks all
//! of it; the rest of the program sees only [`Config`]. [`KEYS`] is the one table of what can be
//! configured: help, errors, `config explain` and the flags of `serve` come from it.

mod error;
mod keys;
mod low;
mod resolved;
mod secret_file;
mod table;
mod value;

pub use error::ConfigError;
pub use keys::{Group, Key, Kind};
pub use low::{Low, Source};
pub use resolved::{Certificate, Config, ConnectionLimits, Log, LogFormat, NatDiscovery};
pub(crate) use secret_file::is_open_to_others;
pub use table::KEYS;
pub(crate) use table::{CREDENTIALS_TTL, DATA_DIR, PUBLIC_HOST, SECRET, SECRET_FILE};
