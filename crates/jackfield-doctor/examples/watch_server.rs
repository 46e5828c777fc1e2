//! Examines a server from a program, and goes by the kinds of problems rather than by texts.
//!
//! `cargo run -p jackfield-doctor --example watch_server -- https://call.example.org`

use std::process::ExitCode;

use jackfield_doctor::conclusions::Side;
use jackfield_doctor::{Conclusions, Options, Trust, examine};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example speaks to its user there")]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1);
    let server = server.ok_or("usage: watch_server URL")?;
    let options = Options {
        target: server.parse()?,
        trust: Trust::new(None)?,
        proxy: None,
        slow: false,
        recorder: None,
    };
    let conclusions = Conclusions::of(&examine(&options).await);
    // Only the server's own side is of interest to who watches a server.
    let mut ours = conclusions
        .problems
        .iter()
        .filter(|problem| problem.side() == Side::Server)
        .peekable();
    if ours.peek().is_none() {
        println!("{server}: well");
        return Ok(ExitCode::SUCCESS);
    }
    for problem in ours {
        println!("{server}: {} ({:?})", problem.kind(), problem.severity());
    }
    Ok(ExitCode::FAILURE)
}
