//! Dependencies that no source file of their package names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::metadata::{Dependency, Metadata, Package};

/// Returns a line for each dependency that a package of ours declares and no file of it names.
pub(super) fn faults(metadata: &Metadata) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for package in metadata.members() {
        let library = words_of(package, |kind| !is_for_tests(kind))?;
        let everything = words_of(package, |_| true)?;
        for dependency in &package.dependencies {
            let dev = dependency.kind.as_deref() == Some("dev");
            let words = if dev { &everything } else { &library };
            if !words.contains(&identifier(metadata, dependency)) {
                let kind = if dev {
                    "a dev-dependency"
                } else {
                    "a dependency"
                };
                faults.push(format!(
                    "{}: {} is {kind} that nothing uses",
                    package.name, dependency.name
                ));
            }
        }
    }
    Ok(faults)
}

/// Returns what a dependency is called in code: the name it was given, or that of its library.
fn identifier(metadata: &Metadata, dependency: &Dependency) -> String {
    let library = || {
        let mut packages = metadata.packages.iter();
        let package = packages.find(|package| package.name == dependency.name)?;
        let mut targets = package.targets.iter();
        let library = targets.find(|target| target.kind.iter().any(|kind| is_library(kind)))?;
        Some(&library.name)
    };
    let name = dependency.rename.as_ref().or_else(library);
    name.unwrap_or(&dependency.name).replace('-', "_")
}

fn is_library(kind: &str) -> bool {
    kind.ends_with("lib") || kind == "proc-macro"
}

fn is_for_tests(kind: &str) -> bool {
    matches!(kind, "test" | "example" | "bench")
}

/// Returns every word in the source files of the targets whose kind is wanted.
fn words_of(package: &Package, wanted: impl Fn(&str) -> bool) -> Result<BTreeSet<String>, String> {
    let mut files = BTreeSet::new();
    for target in &package.targets {
        if target.kind.iter().any(|kind| wanted(kind)) {
            add_files(package, &target.src_path, &mut files)?;
        }
    }
    let mut words = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let code = text.lines().filter(|line| !is_comment(line));
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        words.extend(
            code.flat_map(|line| line.split(move |c: char| !is_word(c)))
                .map(str::to_owned),
        );
    }
    Ok(words)
}

/// Returns whether a line is a comment without an example in it.
fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    // Examples in documentation use dependencies too.
    line.starts_with("//") && !line.contains("use ") && !line.contains("::")
}

/// Adds a target's root file and every file below its folder; other targets' files that lie there
/// count too, which can hide an unused dependency but never accuses a used one.
fn add_files(package: &Package, root: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), String> {
    files.insert(root.to_owned());
    let Some(folder) = root.parent() else {
        return Ok(());
    };
    // A build script lies beside the manifest; all of the package is below it.
    if package.manifest_path.parent() == Some(folder) {
        return Ok(());
    }
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| failed(&folder, error))?;
        for entry in entries {
            let path = entry.map_err(|error| failed(&folder, error))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.insert(path);
            }
        }
    }
    Ok(())
}
