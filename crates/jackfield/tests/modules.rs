//! The arrows between modules, read from the `crate::` and `super::` paths of each crate's files.
//!
//! Modules of one folder may lean on each other; a circle that leaves its folder would make two
//! rooms one. Re-exports are left out: they say where a name can be found, not what a module needs.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic on a shape it does not expect"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module's path in its crate, such as `["nat", "hit"]`; the root's is empty.
type Module = Vec<String>;

#[test]
fn no_circle_of_modules_crosses_a_folder() {
    for crate_folder in crates() {
        let modules = modules(&crate_folder.join("src"));
        let needs: BTreeMap<&Module, BTreeSet<Module>> = modules
            .iter()
            .map(|(module, file)| (module, needs(module, file, &modules)))
            .collect();
        for circle in circles(&needs) {
            let rooms: BTreeSet<Module> =
                circle.iter().map(|module| room(module, &modules)).collect();
            assert!(
                rooms.len() < 2,
                "{}: {circle:?} need each other and live in the folders {rooms:?}",
                crate_folder.display()
            );
        }
    }
}

#[test]
fn no_crate_holds_more_than_its_share_of_the_code() {
    let sizes: Vec<(PathBuf, usize)> = crates()
        .into_iter()
        .map(|folder| {
            let files = modules(&folder.join("src"));
            let lines = files.values().map(|file| read(file).lines().count());
            (folder, lines.sum())
        })
        .collect();
    let all: usize = sizes.iter().map(|(_, lines)| lines).sum();
    for (folder, lines) in sizes {
        let percent = lines * 100 / all;
        assert!(
            percent < 15,
            "{} has {percent} % of the code",
            folder.display()
        );
    }
}

#[test]
fn a_circle_is_found_where_there_is_one() {
    let module = |name: &str| vec![name.to_owned()];
    let (a, b, c) = (module("a"), module("b"), module("c"));
    let needs = BTreeMap::from([
        (&a, BTreeSet::from([b.clone()])),
        (&b, BTreeSet::from([c.clone()])),
        (&c, BTreeSet::from([b.clone()])),
    ]);
    assert_eq!(circles(&needs), [BTreeSet::from([b.clone(), c.clone()])]);

    let text =
        "use crate::nat::{hit, Nat};\npub use self::x::Y;\nfn f() { super::super::b::g() }\n";
    let words = paths(text);
    assert_eq!(
        words,
        ["crate::nat", "crate::nat::hit", "super::super::b::g"]
    );
}

/// Returns the folder of each crate.
fn crates() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let entries = std::fs::read_dir(&root).expect("the folder of the crates");
    let folders = entries.map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.join("src").exists()).collect();
    folders.sort();
    assert!(folders.len() > 10, "the crates are elsewhere: {folders:?}");
    folders
}

/// Returns each module below a source folder and its file.
fn modules(source: &Path) -> BTreeMap<Module, PathBuf> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(source.to_owned(), Module::new())];
    while let Some((folder, module)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a source folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().and_then(|name| name.to_str());
            let mut inner = module.clone();
            inner.extend(name.map(str::to_owned));
            if path.is_dir() {
                folders.push((path, inner));
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let is_root = inner == ["lib"];
                found.insert(if is_root { Module::new() } else { inner }, path);
            }
        }
    }
    found
}

/// Returns the modules whose names a module's code uses.
fn needs(module: &Module, file: &Path, modules: &BTreeMap<Module, PathBuf>) -> BTreeSet<Module> {
    let text = read(file);
    // Tests may use whatever is in reach.
    let code = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or(&text);
    let mut needs = BTreeSet::new();
    for path in paths(code) {
        let mut target = module.clone();
        for word in path.split("::") {
            match word {
                "crate" => target.clear(),
                "self" => {}
                "super" => {
                    target.pop();
                }
                name => target.push(name.to_owned()),
            }
        }
        while !modules.contains_key(&target) {
            target.pop();
        }
        if target != *module {
            needs.insert(target);
        }
    }
    needs
}

/// Returns the paths in a text that begin with `crate`, `self` or `super`, those in braces after
/// them too, as far as they are written like modules; comments and re-exports are left out.
fn paths(text: &str) -> Vec<String> {
    let is_code = |line: &&str| {
        let line = line.trim_start();
        let is_export = line.starts_with("pub") && line.contains(" use ");
        !(line.starts_with("//") || is_export)
    };
    let code: Vec<&str> = text.lines().filter(is_code).collect();
    let code = code.join("\n");
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("::") {
        let start = code[..at]
            .rfind(|c: char| !is_word(c))
            .map_or(0, |at| at + 1);
        if !matches!(&code[start..at], "crate" | "self" | "super") || code[..start].ends_with("::")
        {
            continue;
        }
        let rest = &code[start..];
        let end = rest
            .find(|c: char| !is_word(c) && c != ':')
            .unwrap_or(rest.len());
        let base: Vec<&str> = rest[..end]
            .split("::")
            .take_while(|word| is_module_name(word))
            .collect();
        paths.push(base.join("::"));
        let Some(list) = rest[end..].strip_prefix('{') else {
            continue;
        };
        let list = list.split(['}', ';']).next().unwrap_or(list);
        let names = list
            .split(',')
            .map(|item| item.trim().split("::").next().unwrap_or(""));
        paths.extend(
            names
                .filter(|name| is_module_name(name))
                .map(|name| format!("{}::{name}", base.join("::"))),
        );
    }
    paths
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_module_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| is_word(c) && !c.is_ascii_uppercase())
}

/// Returns the folder that a module's file belongs to: its own, if it has one.
fn room(module: &Module, modules: &BTreeMap<Module, PathBuf>) -> Module {
    let has_folder = modules
        .keys()
        .any(|other| other.len() > module.len() && other.starts_with(module));
    let length = module.len() - usize::from(!has_folder && !module.is_empty());
    module[..length].to_vec()
}

/// Returns the sets of modules that need each other.
fn circles(needs: &BTreeMap<&Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reach = |from: &Module| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<Module> = vec![from.clone()];
        while let Some(next) = open.pop() {
            for target in needs.get(&next).into_iter().flatten() {
                if seen.insert(target.clone()) {
                    open.push(target.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> = needs
        .keys()
        .map(|module| (*module, reach(module)))
        .collect();
    let mut circles = BTreeSet::new();
    for (module, targets) in &reached {
        if targets.contains(*module) {
            let others = targets
                .iter()
                .filter(|other| reached[other].contains(*module));
            circles.insert(others.cloned().collect());
        }
    }
    circles.into_iter().collect()
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
