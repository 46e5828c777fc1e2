//! The Jackfield server and its tools in one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    jackfield::cli::run(std::env::args_os())
}
