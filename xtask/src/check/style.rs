//! The form of source files and prose that no lint of the compiler holds.

use std::path::Path;
use std::process::Command;

use crate::workspace;

/// Returns a line for each file that breaks the form.
pub(super) fn faults() -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for path in tracked_files()? {
        let kind = Path::new(&path).extension().and_then(|kind| kind.to_str());
        let (is_rust, is_markdown) = (kind == Some("rs"), kind == Some("md"));
        if !is_rust && !is_markdown {
            continue;
        }
        let text = std::fs::read_to_string(workspace::root().join(&path))
            .map_err(|error| format!("{path}: {error}"))?;
        if is_rust {
            faults.extend(module_faults(&path, &text));
        }
        faults.extend(prose_faults(&path, &text, is_rust));
    }
    Ok(faults)
}

/// Returns the files that git tracks, by their path from the root.
fn tracked_files() -> Result<Vec<String>, String> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(workspace::root())
        .output()
        .map_err(|error| format!("git ls-files: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", output.status));
    }
    let names =
        String::from_utf8(output.stdout).map_err(|error| format!("git ls-files: {error}"))?;
    let names = names.split_terminator('\0');
    // A file that was removed but not committed yet is still listed.
    let exists = |path: &&str| workspace::root().join(path).exists();
    Ok(names.filter(exists).map(str::to_owned).collect())
}

fn module_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    // Cargo takes each file beside a test for a test of its own, so only a folder can share code.
    if path.ends_with("/mod.rs") && !path.contains("/tests/") {
        faults.push(format!(
            "{path}: a module is a file with its name, not mod.rs"
        ));
    }
    if !text.starts_with("//!") && !text.starts_with("#![doc = include_str!") {
        faults.push(format!(
            "{path}: the first line does not say what lives here (//!)"
        ));
    }
    faults
}

/// Returns a line for each comment or paragraph that goes past the last column.
fn prose_faults(path: &str, text: &str, is_rust: bool) -> Vec<String> {
    let mut is_code = false;
    let mut faults = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let prose = match (is_rust, line.trim_start()) {
            (true, comment) if comment.starts_with("//") => comment.trim_start_matches(['/', '!']),
            (true, _) => {
                is_code = false;
                continue;
            }
            (false, paragraph) => paragraph,
        };
        let prose = prose.trim_start();
        if prose.starts_with("```") {
            is_code = !is_code;
        }
        if line.chars().count() > LAST_COLUMN && !is_code && !is_exempt(prose) {
            faults.push(format!(
                "{path}:{number}: prose goes past column {LAST_COLUMN}"
            ));
        }
    }
    faults
}

/// Returns whether a line cannot be broken: a table's row, a picture, quoted requirements, a link.
fn is_exempt(prose: &str) -> bool {
    let longest = prose.split_whitespace().map(str::len).max().unwrap_or(0);
    prose.starts_with('|')
        || prose.starts_with('!')
        || prose.starts_with('<')
        || prose.starts_with('>')
        || prose.starts_with('=')
        || prose.starts_with('#')
        || longest > LONGEST_WORD
}

/// Where prose ends.
const LAST_COLUMN: usize = 100;

/// A longer word, such as an address with its path, may go past the last column.
const LONGEST_WORD: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_prose_is_found_and_code_and_tables_are_spared() {
        let long = "word ".repeat(30);
        let rust = format!("//! {long}\nlet a = \"{long}\";\n/// ```\n/// {long}\n/// ```\n");
        assert_eq!(prose_faults("a.rs", &rust, true).len(), 1);
        let markdown = format!("{long}\n\n```\n{long}\n```\n| {long} |\n");
        assert_eq!(prose_faults("a.md", &markdown, false).len(), 1);
        let link = format!("see https://example.org/{}", "a".repeat(90));
        assert_eq!(prose_faults("a.md", &link, false), [""; 0]);
    }

    #[test]
    fn a_module_is_named_and_says_what_lives_there() {
        assert_eq!(module_faults("src/a/mod.rs", "use b;\n").len(), 2);
        assert_eq!(
            module_faults("crates/a/tests/b/mod.rs", "//! Shared.\n"),
            [""; 0]
        );
    }
}
