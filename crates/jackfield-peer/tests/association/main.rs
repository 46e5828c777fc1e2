//! Two associations talk to each other through a path with delay and loss, in virtual time.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic on a shape it does not expect"
)]

mod channels;
mod closing;
mod handshake;
mod hostile;
mod lossy;
mod pair;
