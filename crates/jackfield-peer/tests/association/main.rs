//! Two associations talk to each other through a path with delay and loss, in virtual time.

mod channels;
mod closing;
mod handshake;
mod hostile;
mod lossy;
mod pair;
