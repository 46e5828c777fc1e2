//! Signals that end a command, and the time that it then has to say goodbye.

use std::process::ExitCode;
use std::time::Duration;

use jackfield_connect::Stop;
use tokio::time::timeout;

/// A signal by which the user ends a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGINT: Ctrl+C.
    Interrupt,
    /// SIGTERM.
    #[cfg(unix)]
    Terminate,
}

impl Signal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            #[cfg(unix)]
            Self::Terminate => "SIGTERM",
        }
    }

    /// Returns what a shell reports of a process that the signal has ended: 128 and its number.
    pub(super) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Interrupt => 130,
            #[cfg(unix)]
            Self::Terminate => 143,
        })
    }
}

/// Does `work`. After a signal it is stopped by `stop`, and has a few seconds to end; a second
/// signal ends them. Returns what `work` returned, if it came to that, and the signal.
pub(super) async fn until_stopped<T>(
    stop: &Stop,
    work: impl Future<Output = T>,
) -> (Option<T>, Option<Signal>) {
    let mut signals = Signals::new();
    let mut work = std::pin::pin!(work);
    let signal = tokio::select! {
        done = &mut work => return (Some(done), None),
        signal = signals.next() => signal,
    };
    stop.stop();
    let done = tokio::select! {
        done = timeout(GOODBYE_WITHIN, work) => done.ok(),
        _ = signals.next() => None,
    };
    (done, Some(signal))
}

/// The signals that come; where the system gives none, none come.
struct Signals {
    #[cfg(unix)]
    streams: Option<[tokio::signal::unix::Signal; 2]>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt());
        let terminate = signal(SignalKind::terminate());
        Self {
            streams: interrupt.ok().zip(terminate.ok()).map(Into::into),
        }
    }

    async fn next(&mut self) -> Signal {
        let Some([interrupt, terminate]) = &mut self.streams else {
            return std::future::pending().await;
        };
        tokio::select! {
            Some(()) = interrupt.recv() => Signal::Interrupt,
            Some(()) = terminate.recv() => Signal::Terminate,
            else => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self {}
    }

    async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}

/// Leaving a room takes about a second, and up to five where the server or the other side is out of
/// reach.
const GOODBYE_WITHIN: Duration = Duration::from_secs(6);
