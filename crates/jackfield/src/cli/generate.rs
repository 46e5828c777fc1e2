//! `jackfield completions` and `jackfield man`, made from the definitions that help is made from.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::{failed, say_bytes};

/// Returns the definition of `jackfield completions`.
pub(super) fn completions_command() -> Command {
    Command::new("completions")
        .about("Prints a shell's completions")
        .after_help(
            "Examples:\n  \
             jackfield completions bash > /etc/bash_completion.d/jackfield\n  \
             jackfield completions fish > ~/.config/fish/completions/jackfield.fish",
        )
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(value_parser!(Shell))
                .help("The shell."),
        )
}

/// Returns the definition of `jackfield man`.
pub(super) fn man_command() -> Command {
    Command::new("man")
        .about("Writes man pages, one for each subcommand")
        .after_help("Examples:\n  jackfield man /usr/local/share/man/man1")
        .arg(
            Arg::new("dir")
                .value_name("DIR")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The folder; it is made if it is missing."),
        )
}

/// Prints completions.
pub(super) fn completions(matches: &ArgMatches) -> ExitCode {
    let shell = matches
        .get_one::<Shell>("shell")
        .expect("clap requires the shell");
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut super::command(), NAME, &mut script);
    say_bytes(&script);
    ExitCode::SUCCESS
}

/// Writes man pages.
pub(super) fn man(matches: &ArgMatches) -> ExitCode {
    let dir = matches
        .get_one::<PathBuf>("dir")
        .expect("clap requires the folder");
    let written = std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(super::command(), dir))
        .with_context(|| format!("cannot write man pages to {}", dir.display()));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

const NAME: &str = "jackfield";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_every_subcommand() {
        for shell in <Shell as clap::ValueEnum>::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut super::super::command(), NAME, &mut script);
            let script = String::from_utf8(script).unwrap();
            for subcommand in super::super::command().get_subcommands() {
                let name = subcommand.get_name();
                assert!(script.contains(name), "{shell} does not complete {name}");
            }
        }
    }

    #[test]
    fn each_subcommand_has_a_man_page_with_its_flags() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let dir = folder.path().join("man1");
        clap_mangen::generate_to(
            super::super::command(),
            std::path::Path::new("/dev/null/no"),
        )
        .expect_err("a file is no folder");
        std::fs::create_dir_all(&dir)?;
        clap_mangen::generate_to(super::super::command(), &dir)?;
        let serve = std::fs::read_to_string(dir.join("jackfield-serve.1"))?;
        assert!(serve.contains("relay\\-ports"), "{serve}");
        for subcommand in super::super::command().get_subcommands() {
            let page = dir.join(format!("jackfield-{}.1", subcommand.get_name()));
            assert!(page.exists(), "{}", page.display());
        }
        Ok(())
    }
}
