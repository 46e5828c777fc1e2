//! What a person, or a script, reads of a native peer: words on stderr with a progress bar, or
//! JSON.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jackfield_connect::files::Progress;
use jackfield_connect::{Event, Observer};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How the other side joins, for the words.
#[derive(Debug, Clone)]
pub(super) enum OtherSide {
    /// It runs this command.
    Command(String),
    /// It is known to be there, or to come: nothing is said.
    Expected,
}

/// Tells what happens.
#[derive(Debug)]
pub(super) struct Reporter {
    output: Output,
    other_side: OtherSide,
    progress: Arc<Progress>,
    bar: ProgressBar,
    began: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Words,
    JsonOnStdout,
    JsonOnStderr,
}

impl Reporter {
    pub(super) fn new(output: Output, other_side: OtherSide) -> Self {
        let bar = ProgressBar::hidden();
        if output == Output::Words && std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template(BAR);
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("━╸ "));
            }
        }
        Self {
            output,
            other_side,
            progress: Arc::default(),
            bar,
            began: Instant::now(),
        }
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Shows how far the transfer is, again and again until the task is aborted.
    pub(super) fn follow(self: &Arc<Self>) -> JoinHandle<()> {
        let reporter = Arc::clone(self);
        tokio::spawn(async move {
            let every = if reporter.output == Output::Words {
                DRAW_EVERY
            } else {
                TELL_EVERY
            };
            let mut interval = tokio::time::interval(every);
            let mut last = 0;
            loop {
                interval.tick().await;
                reporter.show(&mut last);
            }
        })
    }

    fn show(&self, last: &mut u64) {
        let (bytes, total) = (self.progress.bytes(), self.progress.total());
        if total == 0 {
            return;
        }
        match self.output {
            Output::Words => {
                self.bar.set_length(total);
                self.bar.set_position(bytes);
                self.bar.set_message(visible(&self.progress.current()));
            }
            Output::JsonOnStdout | Output::JsonOnStderr if bytes != *last => self.json(&json!({
                "event": "progress",
                "bytes": bytes,
                "total": total,
                "files": self.progress.files(),
            })),
            Output::JsonOnStdout | Output::JsonOnStderr => {}
        }
        *last = bytes;
    }

    /// Tells why the program fails.
    pub(super) fn fail(&self, why: &str) {
        self.bar.finish_and_clear();
        match self.output {
            Output::Words => self.line(&visible(why)),
            Output::JsonOnStdout | Output::JsonOnStderr => {
                self.json(&json!({ "event": "error", "message": why }));
            }
        }
    }

    fn json(&self, object: &serde_json::Value) {
        // Who closed the other end of a pipe has read enough.
        let _closed = if self.output == Output::JsonOnStdout {
            writeln!(std::io::stdout(), "{object}")
        } else {
            writeln!(std::io::stderr(), "{object}")
        };
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| {
            // A closed stderr is no failure.
            let _closed = writeln!(std::io::stderr(), "jackfield: {text}");
        });
    }

    /// Draws the bar from here on, if this is a terminal.
    fn begin(&self) {
        if self.output == Output::Words && std::io::stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.reset();
        }
    }

    fn words(&self, event: &Event) -> Option<String> {
        Some(match event {
            Event::Room { room, page, .. } => match &self.other_side {
                OtherSide::Command(command) => {
                    format!(
                        "in room {room}; the other side runs\n\n    {command}\n\nor opens {page}\n"
                    )
                }
                OtherSide::Expected => format!("in room {room}"),
            },
            Event::ServerLost { why } => format!("{why}; calls go on, and it is tried again"),
            Event::Knocking => {
                "newcomers to the room knock; waiting to be let in (Ctrl+C stops)".to_owned()
            }
            Event::Waiting => "waiting for the other side (Ctrl+C stops)".to_owned(),
            Event::Found { peer } => format!("{peer} is here; looking for a way there"),
            Event::Connected { peer } => format!("connected to {peer}"),
            Event::Interrupted { peer } => {
                format!("nothing comes from {peer}; looking for another way")
            }
            Event::Returned { peer } => format!("it is {peer}, back on another connection"),
            Event::Left {
                peer,
                said_goodbye: true,
            } => format!("{peer} left"),
            Event::Left {
                peer,
                said_goodbye: false,
            } => format!("{peer} is gone"),
            Event::Path {
                peer,
                path,
                local,
                remote,
                protocol,
                rtt_ms,
            } => {
                let way = match *path {
                    "direct" => "goes directly",
                    "relay-udp" => "goes by a relay, over UDP",
                    "relay-tcp" => "goes by a relay, over TCP",
                    _ => "goes by a relay, over TLS",
                };
                let rtt = rtt_ms.map_or_else(String::new, |rtt| format!(", round trip {rtt} ms"));
                format!("what goes to {peer} {way} ({local} to {remote}, {protocol}{rtt})")
            }
            Event::Mismatch { peer, purpose } => match purpose.as_str() {
                "send" => format!("{peer} is here to send files: that takes `jackfield receive`"),
                "receive" => {
                    format!("{peer} is here to receive files: that takes `jackfield send`")
                }
                "pipe" => format!(
                    "{peer} is here with `jackfield connect`, which fits `jackfield connect` alone"
                ),
                "forward" => format!(
                    "{peer} is here to forward ports: that takes `jackfield connect` with --forward or --allow"
                ),
                "page" => format!("{peer} is a browser, which has no ports to forward"),
                _ => format!("{peer} is here for something that this version does not know"),
            },
            Event::Offering { peer, files, bytes } => {
                format!(
                    "offering {} ({}) to {peer}",
                    count(*files),
                    HumanBytes(*bytes)
                )
            }
            Event::Offer { peer, files, bytes } => {
                format!("{peer} sends {} ({})", count(*files), HumanBytes(*bytes))
            }
            Event::Paused { bytes } => {
                format!(
                    "interrupted at {}; it goes on when the other side is back",
                    HumanBytes(*bytes)
                )
            }
            Event::Stopped { peer } => format!("{peer} was stopped there"),
            Event::Declined { peer, why } => format!("{peer} {why}"),
            Event::OfferNotTaken { peer, why } => {
                format!("what {peer} offers is not taken: {why}")
            }
            Event::File { path, size, .. } => format!("{path} is here ({})", HumanBytes(*size)),
            Event::Done { files, bytes, kept } => {
                let time = HumanDuration(self.began.elapsed());
                let kept = match kept {
                    0 => String::new(),
                    kept => format!("; {} were there before", HumanBytes(*kept)),
                };
                format!(
                    "done: {}, {}, checksums equal, after {time}{kept}",
                    count(*files),
                    HumanBytes(*bytes)
                )
            }
            Event::Listening { address, to } => {
                format!("{address} leads to {to} on the other side")
            }
            Event::Allowing { to } => format!("the other side may connect to {to} from here"),
            Event::Opened { to } => format!("a connection to {to}"),
            Event::Closed { to, why: None } => format!("a connection to {to} has ended"),
            Event::Closed { to, why: Some(why) } => format!("a connection to {to} failed: {why}"),
            _ => return None,
        })
    }
}

impl Observer for Reporter {
    fn tell(&self, event: Event) {
        if matches!(event, Event::Done { .. }) {
            self.bar.finish_and_clear();
        }
        match self.output {
            Output::Words => {
                if let Some(words) = self.words(&event) {
                    // The words about the room are our own, and of several lines.
                    let is_ours = matches!(event, Event::Room { .. });
                    self.line(&if is_ours { words } else { visible(&words) });
                }
            }
            Output::JsonOnStdout | Output::JsonOnStderr => {
                self.json(&serde_json::to_value(&event).unwrap_or_default());
            }
        }
        if matches!(event, Event::Offering { .. } | Event::Offer { .. }) {
            self.begin();
        }
    }
}

/// Returns a text in which the characters that a terminal obeys, and those that hide or reorder
/// others, are escapes: names, paths and reasons come from the other side.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let is_hidden = c.is_control()
            || matches!(
                c,
                '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            )
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
        if is_hidden {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn count(files: u64) -> String {
    if files == 1 {
        "1 file".to_owned()
    } else {
        format!("{files} files")
    }
}

const BAR: &str = "{bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta} {wide_msg}";
const DRAW_EVERY: Duration = Duration::from_millis(100);
const TELL_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_gives_no_orders_to_the_terminal() {
        let said = "22\u{1b}]0;x\u{7}\njackfield: done\u{202e}gpj \u{9b}2J";
        let shown = r"22\u{1b}]0;x\u{7}\njackfield: done\u{202e}gpj \u{9b}2J";
        assert_eq!(visible(said), shown);
        assert_eq!(visible("Åsa 李 👩\u{200d}🚀"), "Åsa 李 👩\u{200d}🚀");
    }
}
