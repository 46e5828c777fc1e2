//! What a part needs from the machine, and how to get it.

use std::fmt;
use std::path::Path;

use crate::apt;
use crate::command::{Run, is_installed, is_root};
use crate::log::Log;
use crate::part::Part;
use crate::workspace;

/// Something that has to be on the machine before a part can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The right to make network namespaces.
    Root,
    /// A program, and the Debian package that brings it.
    Program(&'static str, &'static str),
    /// A folder, and the Debian package that brings it.
    Folder(&'static str, &'static str),
    /// Node, new enough for the suites.
    Node,
    /// The packages that `interop/package-lock.json` pins.
    NodePackages,
    /// The packages that `interop/requirements.txt` pins, in a virtual environment.
    PythonPackages,
}

impl Need {
    /// Installs what is missing; the error says why that cannot be done here.
    pub(crate) fn meet(self) -> Result<(), String> {
        match self {
            Self::Root if is_root() => Ok(()),
            Self::Root => Err("needs root, to make network namespaces".to_owned()),
            Self::Program(program, _) if is_installed(program) => Ok(()),
            Self::Folder(folder, _) if Path::new(folder).is_dir() => Ok(()),
            Self::Program(_, package) | Self::Folder(_, package) => apt::install(package),
            Self::Node => node(),
            Self::NodePackages => node_packages(&workspace::interop()),
            Self::PythonPackages => python_packages(&workspace::interop()),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::Program(program, package) => write!(f, "{program} (Debian package {package})"),
            Self::Folder(folder, package) => write!(f, "{folder} (Debian package {package})"),
            Self::Node => write!(f, "Node {NODE_VERSION}"),
            Self::NodePackages => f.write_str("the node packages of interop/"),
            Self::PythonPackages => f.write_str("the python packages of interop/"),
        }
    }
}

/// The needs of some parts, each once.
pub(crate) fn of_all(parts: &[&Part]) -> Vec<Need> {
    let mut needs = Vec::new();
    for need in parts.iter().flat_map(|part| part.needs) {
        if !needs.contains(need) {
            needs.push(*need);
        }
    }
    needs
}

fn node() -> Result<(), String> {
    Need::Program("node", "nodejs").meet()?;
    let check = format!("process.exit(Number(parseInt(process.versions.node) < {NODE_VERSION}))");
    if Run::new("node").args(["-e", &check]).succeeds() {
        Ok(())
    } else {
        Err(format!("the suites need Node {NODE_VERSION} or newer"))
    }
}

fn node_packages(folder: &Path) -> Result<(), String> {
    let (lock, stamp) = (
        folder.join("package-lock.json"),
        folder.join("node_modules/.installed"),
    );
    if same_content(&lock, &stamp) {
        return Ok(());
    }
    Need::Program("npm", "npm").meet()?;
    Run::new("npm")
        .args(["ci"])
        .folder(folder)
        .run(&Log::Terminal)?;
    copy(&lock, &stamp)
}

fn python_packages(folder: &Path) -> Result<(), String> {
    let (list, stamp) = (
        folder.join("requirements.txt"),
        folder.join(".venv/installed"),
    );
    if same_content(&list, &stamp) {
        return Ok(());
    }
    Need::Program("python3", "python3").meet()?;
    let has_venv = Run::new("python3").args(["-c", "import ensurepip, venv"]);
    if !has_venv.succeeds() {
        apt::install("python3-venv")?;
    }
    Run::new("python3")
        .args(["-m", "venv", "--clear", ".venv"])
        .folder(folder)
        .run(&Log::Terminal)?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--no-input",
        "--quiet",
        "--disable-pip-version-check",
    ];
    Run::new(folder.join(".venv/bin/python3"))
        .args(pip)
        .args(["--no-deps", "--requirement", "requirements.txt"])
        .folder(folder)
        .run(&Log::Terminal)?;
    copy(&list, &stamp)
}

fn same_content(one: &Path, other: &Path) -> bool {
    match (std::fs::read(one), std::fs::read(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::copy(from, to)
        .map(drop)
        .map_err(|error| format!("{}: {error}", to.display()))
}

/// The oldest Node that has what the suites use.
const NODE_VERSION: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::PARTS;

    #[test]
    fn a_program_that_is_there_is_met_without_installing() {
        assert_eq!(Need::Program("sh", "no-such-package").meet(), Ok(()));
    }

    #[test]
    fn a_need_of_two_parts_is_met_once() {
        let parts: Vec<&Part> = PARTS.iter().chain(PARTS).collect();
        let needs = of_all(&parts);
        for need in &needs {
            assert_eq!(needs.iter().filter(|other| *other == need).count(), 1);
        }
    }
}
