//! Where other processes find a lab that runs: a folder with its sockets, and a file that says what there is.
//!
//! The folder is locked for as long as the lab lives, so one that is not is a leftover of a lab that was killed. It is
//! all that such a lab leaves.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jackfield_router::namespace::process::try_lock;
use serde::{Deserialize, Serialize};

/// The folder of a lab that this process, or one that it was forked from, runs.
#[derive(Debug)]
pub struct Folder {
    name: String,
    path: PathBuf,
    _lock: File,
}

/// What a lab says of itself; its JSON is a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The lab's name.
    pub name: String,
    /// The process that ends the lab when it is told to end.
    pub supervisor: u32,
    /// The first process inside, which holds the namespaces.
    pub inside: u32,
    /// The sites, by name.
    pub sites: BTreeMap<String, SiteState>,
    /// The hosts, by name; the server too.
    pub hosts: BTreeMap<String, HostState>,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteState {
    /// What its router is.
    pub router: String,
    /// The router's external addresses.
    pub external: Vec<String>,
    /// The site that it is behind.
    pub behind: Option<String>,
    /// The router's control socket: `jackfield nat list --control PATH`.
    pub control: PathBuf,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostState {
    /// The site that it is in.
    pub site: Option<String>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// The descriptor of the first process inside that stands for its network namespace.
    pub netns: i32,
    /// What programs on it find in their environment.
    pub variables: BTreeMap<String, String>,
}

impl Folder {
    /// Takes the folder for a lab: with that name, or with a free one that begins so. Removes leftovers.
    ///
    /// # Errors
    /// Fails when a lab of that very name runs, and when there can be no folder.
    pub fn claim(name: &str, exact: bool) -> Result<Self> {
        let root = root()?;
        remove_leftovers(&root);
        for number in 1..=MOST_LABS {
            let name = match number {
                1 => name.to_owned(),
                number => format!("{name}-{number}"),
            };
            if let Some(folder) = Self::try_claim(&root, &name)? {
                return Ok(folder);
            }
            if exact {
                bail!(
                    "a lab called {name} is running: `jackfield lab down {name}` ends it, --name gives this one another name"
                );
            }
        }
        bail!("there are {MOST_LABS} labs called {name} already")
    }

    fn try_claim(root: &Path, name: &str) -> Result<Option<Self>> {
        let path = root.join(name);
        let failed = || format!("the folder {} cannot be made", path.display());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(failed)?;
        let lock = File::create(path.join(LOCK)).with_context(failed)?;
        if !try_lock(&lock).with_context(failed)? {
            return Ok(None);
        }
        Ok(Some(Self {
            name: name.to_owned(),
            path,
            _lock: lock,
        }))
    }

    /// Returns the lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets others find the lab.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub fn publish(&self, state: &State) -> Result<()> {
        // Whoever finds the file finds all of it.
        let draft = self.path.join("state.new");
        fs::write(&draft, serde_json::to_vec(state)?)
            .and_then(|()| fs::rename(&draft, self.path.join(STATE)))
            .with_context(|| format!("{} cannot be written", self.path.join(STATE).display()))
    }

    /// Removes it, when the lab is gone.
    pub fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "Folder stays behind");
        }
    }
}

/// Returns the labs that run, by name.
///
/// # Errors
/// Fails when there can be no folder for them.
pub fn all() -> Result<Vec<State>> {
    let root = root()?;
    let mut states = Vec::new();
    for entry in fs::read_dir(&root).into_iter().flatten().flatten() {
        if is_locked(&entry.path())
            && let Some(state) = read(&entry.path())
        {
            states.push(state);
        }
    }
    states.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(states)
}

/// Returns the lab of that name, or the only one when there is no name.
///
/// # Errors
/// Says which there are.
pub fn find(name: Option<&str>) -> Result<State> {
    let mut states = all()?;
    let known: Vec<String> = states.iter().map(|state| state.name.clone()).collect();
    let known = match known.as_slice() {
        [] => "no lab is running: `jackfield lab up` starts one".to_owned(),
        names => format!("there is {}", names.join(", ")),
    };
    match (name, states.len()) {
        (Some(name), _) => {
            let place = states.iter().position(|state| state.name == name);
            let place = place.with_context(|| format!("no lab is called {name}; {known}"))?;
            Ok(states.swap_remove(place))
        }
        (None, 1) => Ok(states.swap_remove(0)),
        (None, 0) => bail!(known),
        (None, _) => bail!("which lab? {known}"),
    }
}

/// Returns what a lab of this folder says of itself, if it has said so.
pub(super) fn read(folder: &Path) -> Option<State> {
    let text = fs::read(folder.join(STATE)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Returns the folder that a lab of that name has.
///
/// # Errors
/// Fails when there can be no folder for labs.
pub(super) fn folder(name: &str) -> Result<PathBuf> {
    root().map(|root| root.join(name))
}

/// Returns the folder of all labs of this user.
fn root() -> Result<PathBuf> {
    // A process's own folder in /proc is its user's.
    let uid = fs::metadata("/proc/self").map_or(0, |own| own.uid());
    let root = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) => PathBuf::from(folder).join("jackfield-lab"),
        None if uid == 0 => PathBuf::from("/run/jackfield-lab"),
        None => std::env::temp_dir().join(format!("jackfield-lab-{uid}")),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&root)
        .with_context(|| format!("the folder {} cannot be made", root.display()))?;
    let owner = fs::symlink_metadata(&root)?;
    if !owner.is_dir() || owner.uid() != uid {
        bail!(
            "{} belongs to somebody else: set XDG_RUNTIME_DIR",
            root.display()
        );
    }
    Ok(root)
}

fn remove_leftovers(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir()
            && !is_locked(&path)
            && let Err(error) = fs::remove_dir_all(&path)
        {
            tracing::debug!(%error, path = %path.display(), "Leftover cannot be removed");
        }
    }
}

fn is_locked(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|file| !try_lock(&file).unwrap_or(false))
}

const LOCK: &str = "lock";
const STATE: &str = "state.json";
const MOST_LABS: usize = 1000;
