//! Why a router did not run, or did not answer.

use std::io;
use std::path::PathBuf;

use jackfield_router::TunError;

/// Why a router could not start, or why it stopped. Its text names the cause, too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouterError {
    /// The system gives no event queue.
    #[error("no event queue to wait for packets: {0}")]
    EventQueue(io::Error),
    /// SIGINT or SIGTERM cannot be waited for.
    #[error("{0}")]
    Signals(io::Error),
    /// An interface cannot be made.
    #[error("{0}")]
    Interface(#[from] TunError),
    /// The system gives no randomness for ports.
    #[error("the system has no randomness: {0}")]
    Randomness(getrandom::Error),
    /// The interfaces cannot be registered with the event queue.
    #[error("the interfaces cannot be waited for: {0}")]
    Wait(io::Error),
    /// The capture file cannot be written.
    #[error("the capture {} cannot be written: {error}", path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another router listens on the control socket.
    #[error(
        "another router is controlled by {}: give this one a --control of its own",
        .0.display()
    )]
    ControlTaken(PathBuf),
    /// The control socket cannot be made.
    #[error("the control socket {} cannot be made: {error}", path.display())]
    Control {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The control socket cannot be closed to other users.
    #[error("the control socket {} cannot be kept private: {error}", path.display())]
    ControlOpen {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The control socket that a killed router left cannot be removed.
    #[error("the dead control socket {} cannot be removed: {error}", path.display())]
    ControlLeft {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// An interface disappeared while the router ran.
    #[error("an interface disappeared: {0}")]
    Disappeared(io::Error),
}

/// Why a request to a running router failed. Its text names the cause, too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No router listens there.
    #[error(
        "no router is controlled by {}: is `jackfield nat run` running, with the same --control?: \
         {error}",
        path.display()
    )]
    NoRouter {
        /// The control socket.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The socket takes no timeout.
    #[error("{0}")]
    Timeout(io::Error),
    /// The request has no JSON.
    #[error("{0}")]
    Request(serde_json::Error),
    /// The router takes no request.
    #[error("the router does not listen: {0}")]
    Send(io::Error),
    /// No answer came within ten seconds.
    #[error("the router does not answer: {0}")]
    Receive(io::Error),
    /// The answer is not one that we know.
    #[error("the router does not speak our language: {0}")]
    Answer(serde_json::Error),
    /// The router refused the request, for this reason.
    #[error("{0}")]
    Refused(String),
}
