//! A core of your own and the loop that drives it:
//! `cargo run -p jackfield-sansio --example reminders -- 2s tea 500ms eggs`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example brings the clock that the library goes without"
)]

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

use jackfield_sansio::{Timers, parse_duration};

/// Says what is due. It has no clock, so that a test of it takes no time.
#[derive(Default)]
struct Reminders {
    timers: Timers<String>,
    due: VecDeque<String>,
}

/// What the program has to do.
enum Output {
    /// Show this text.
    Show(String),
    /// Come back at this instant, with the next input if one is there before.
    Wait(Option<Instant>),
}

impl Reminders {
    fn handle_reminder(&mut self, now: Instant, after: Duration, text: &str) {
        self.timers.set(text.to_owned(), now + after);
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(text) = self.timers.expire(now) {
            self.due.push_back(text);
        }
    }

    /// Call it until it returns [`Output::Wait`].
    fn poll_output(&mut self) -> Output {
        match self.due.pop_front() {
            Some(text) => Output::Show(text),
            None => Output::Wait(self.timers.next()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut reminders = Reminders::default();
    let mut arguments = std::env::args().skip(1);
    while let (Some(after), Some(text)) = (arguments.next(), arguments.next()) {
        let after = parse_duration(&after, Duration::ZERO, Duration::from_secs(3_600))
            .ok_or("a time is a number with ms, s, m or h, up to an hour")?;
        reminders.handle_reminder(Instant::now(), after, &text);
    }
    loop {
        match reminders.poll_output() {
            Output::Show(text) => println!("{text}"),
            Output::Wait(None) => return Ok(()),
            Output::Wait(Some(until)) => {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
                reminders.handle_timeout(Instant::now());
            }
        }
    }
}
