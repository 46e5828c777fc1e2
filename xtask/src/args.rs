//! The command line: which job, on which parts.

use crate::part::{PARTS, Part};

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) job: Job,
    /// The parts to run, in the order in which they run.
    pub(crate) parts: Vec<&'static Part>,
    /// Whether the parts after a failed one are run too.
    pub(crate) keep_going: bool,
    /// Whether no part runs beside another one, so that the output comes as it is written.
    pub(crate) one_by_one: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    Help,
    Check,
    Setup,
    Test,
}

impl Args {
    /// Reads the arguments after the program's name.
    ///
    /// A part named by `--only` brings the parts that it builds on, such as the release build, and
    /// its output is shown as it comes.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let job = match words.next().as_deref() {
            None | Some("help" | "--help" | "-h") => Job::Help,
            Some("check") => Job::Check,
            Some("setup") => Job::Setup,
            Some("test") => Job::Test,
            Some(other) => return Err(format!("there is no job {other:?}")),
        };
        let mut only = Vec::new();
        let mut keep_going = false;
        let mut one_by_one = false;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--only" => {
                    let names = words.next().ok_or("--only needs the name of a part")?;
                    for name in names.split(',') {
                        only.push(part_named(name)?.name);
                    }
                }
                "--keep-going" => keep_going = true,
                "--one-by-one" => one_by_one = true,
                "--help" | "-h" => return Ok(Self::chosen(Job::Help, &[])),
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        Ok(Self {
            keep_going,
            one_by_one: one_by_one || !only.is_empty(),
            ..Self::chosen(job, &only)
        })
    }

    fn chosen(job: Job, only: &[&str]) -> Self {
        let wanted = |part: &&Part| {
            only.is_empty()
                || only.contains(&part.name)
                || PARTS
                    .iter()
                    .any(|user| only.contains(&user.name) && user.after.contains(&part.name))
        };
        Self {
            job,
            parts: PARTS.iter().filter(wanted).collect(),
            keep_going: false,
            one_by_one: false,
        }
    }
}

fn part_named(name: &str) -> Result<&'static Part, String> {
    PARTS.iter().find(|part| part.name == name).ok_or_else(|| {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        format!(
            "there is no part {name:?}; the parts are {}",
            names.join(", ")
        )
    })
}

/// The text that `--help` prints.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "cargo xtask test [OPTIONS]   installs what is missing, builds and tests\n\
         cargo xtask setup [OPTIONS]  only installs what is missing\n\
         cargo xtask check            form, licences, bans, sources, unused dependencies, features\n\n\
         Options:\n\
         \x20 --only PART[,PART...]  these parts alone, and the parts that they build on\n\
         \x20 --keep-going           the parts after a failed one too\n\
         \x20 --one-by-one           no part beside another one, each with its output as it comes (as with --only)\n\n\
         Parts:\n",
    );
    for part in PARTS {
        text.push_str(&format!("  {:<12} {}\n", part.name, part.about));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_only_every_part_runs() {
        let args = parse(&["test"]).unwrap();
        assert_eq!(args.job, Job::Test);
        assert_eq!(args.parts.len(), PARTS.len());
    }

    #[test]
    fn a_part_brings_the_parts_it_builds_on() {
        let args = parse(&["test", "--only", "rust,size"]).unwrap();
        let names: Vec<&str> = args.parts.iter().map(|part| part.name).collect();
        assert_eq!(names, ["build", "size", "rust"]);
    }

    #[test]
    fn a_misspelt_part_is_refused_with_the_names_there_are() {
        let message = parse(&["test", "--only", "ruts"]).unwrap_err();
        assert!(message.contains("\"ruts\"") && message.contains("rust"));
    }

    #[test]
    fn an_unknown_argument_is_refused() {
        assert!(parse(&["test", "--fast"]).unwrap_err().contains("--fast"));
        assert!(parse(&["tset"]).unwrap_err().contains("tset"));
    }

    fn parse(words: &[&str]) -> Result<Args, String> {
        Args::parse(words.iter().map(|word| (*word).to_owned()))
    }
}
