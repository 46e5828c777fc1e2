//! Every feature compiles alone, and all of them together.

use super::metadata::Metadata;
use crate::command::cargo;
use crate::log::Log;

/// Returns a line for each combination that does not compile.
pub(super) fn faults(metadata: &Metadata) -> Vec<String> {
    let mut commands = Vec::new();
    for package in metadata.members() {
        let features = package.features.keys().filter(|name| *name != "default");
        let alone: Vec<Option<&String>> = features.map(Some).collect();
        if alone.is_empty() {
            continue;
        }
        for feature in std::iter::once(None).chain(alone) {
            let mut command = vec!["clippy", "--quiet", "--locked", "--no-default-features"];
            command.extend(["--package", &package.name]);
            if let Some(feature) = feature {
                command.extend(["--features", feature]);
            }
            commands.push(command);
        }
    }
    commands.push(vec![
        "clippy",
        "--quiet",
        "--locked",
        "--workspace",
        "--all-features",
    ]);
    // Clippy denies warnings in our crates alone; RUSTFLAGS would build every dependency again.
    let run = |command: &Vec<&str>| {
        cargo(command)
            .args(["--", "-D", "warnings"])
            .run(&Log::Terminal)
            .err()
    };
    commands.iter().filter_map(run).collect()
}
