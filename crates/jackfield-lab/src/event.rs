//! What a lab reports while it runs. The library prints nothing: its caller decides what people
//! see.

use std::fmt;
use std::sync::Arc;

use super::plan::Plan;
use super::run::LabError;

/// Something that people who watch a lab may want to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Every host and router works; the programs start next.
    Built {
        /// The lab's name, which differs from the wanted one when that was taken.
        name: &'a str,
        /// What was built.
        plan: &'a Plan,
    },
    /// A program printed a line.
    Line {
        /// The host that it runs on.
        host: &'a str,
        /// Which of its two outputs the line came from.
        stream: Stream,
        /// The line without its end; it need not be UTF-8.
        text: &'a [u8],
    },
    /// A program in the background ended before the lab did.
    Ended {
        /// The program and its host, such as `turnserver on server`.
        program: &'a str,
        /// Its exit code; 128 and the number of the signal that killed it.
        code: u8,
    },
    /// The lab ends because of this error, with exit code 1.
    Failed(&'a LabError),
}

/// One of a program's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The standard output.
    Out,
    /// The standard error.
    Err,
}

/// The function that receives a lab's [`Event`]s; by default they go nowhere.
///
/// It runs in the first process inside the lab, which is a copy (fork) of the one that called
/// [`run()`](super::run()). So it can print, but what it writes to memory stays in the copy.
#[derive(Clone, Default)]
pub struct Observer(Option<Arc<Receive>>);

type Receive = dyn Fn(&Event<'_>) + Send + Sync;

impl Observer {
    /// Returns an observer that calls `receive` with each event, one at a time.
    pub fn new(receive: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(receive)))
    }

    pub(super) fn report(&self, event: &Event<'_>) {
        if let Some(receive) = &self.0 {
            receive(event);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.0.is_some() { "set" } else { "silent" };
        f.debug_tuple("Observer").field(&name).finish()
    }
}
