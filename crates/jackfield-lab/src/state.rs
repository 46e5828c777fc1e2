//! Where other processes find a lab that runs: a folder with its sockets, and a file that
//! describes it.
//!
//! The folder is locked for as long as the lab lives. One that is not locked was left by a lab
//! that was killed, and is all that such a lab leaves: the next lab removes it. Whoever makes,
//! judges or removes a folder holds the lock of all labs meanwhile: a folder that is not locked
//! yet looks like one that was left.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The labs of a user: a folder with a folder for each.
#[derive(Debug, Clone)]
pub struct Registry {
    root: PathBuf,
}

/// The folder of a lab, which this process has locked.
#[derive(Debug)]
pub struct Folder {
    name: String,
    path: PathBuf,
    labs: Registry,
    /// Forked processes share the lock, so it lasts until the last of them ends.
    _lock: File,
}

/// The description of a running lab; its JSON is a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The lab's name.
    pub name: String,
    /// The process that ends the lab when it gets SIGTERM.
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
    /// What its router is, in a few words.
    pub router: String,
    /// The router's external addresses.
    pub external: Vec<String>,
    /// The site that it is behind, if it is behind one.
    pub behind: Option<String>,
    /// The router's control socket: `jackfield nat list --control PATH`.
    pub control: PathBuf,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostState {
    /// The site that it is in; the server is in none.
    pub site: Option<String>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Its network namespace, as a file descriptor of the first process inside.
    pub netns: i32,
    /// The environment variables of programs on it.
    pub variables: BTreeMap<String, String>,
}

/// Why a lab was not found, or has no folder. Its text names the cause, too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A folder cannot be made.
    #[error("the folder {} cannot be made: {error}", path.display())]
    Make {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A folder cannot be read.
    #[error("the folder {} cannot be read: {error}", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The lock of all labs cannot be had.
    #[error("{} cannot be locked: {error}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A folder cannot be removed.
    #[error("the folder {} cannot be removed: {error}", path.display())]
    Remove {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file cannot be written.
    #[error("{} cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The folder of the labs belongs to another user, who could read what they write there.
    #[error("{} belongs to another user: set XDG_RUNTIME_DIR", .0.display())]
    OtherUser(PathBuf),
    /// The name cannot be one of a folder.
    #[error("a lab cannot be called `{0}`: accepted are letters, digits, `-` and `_`")]
    Name(String),
    /// A lab of that name is running.
    #[error(
        "a lab called {0} is running: `jackfield lab down {0}` ends it, --name gives this one \
         another name"
    )]
    Running(String),
    /// Every number behind that name is taken.
    #[error("there are {MOST_LABS} labs called {0} already")]
    TooMany(String),
    /// No running lab has that name.
    #[error("no lab is called {name}; {running}")]
    Unknown {
        /// The name.
        name: String,
        /// The labs that are running.
        running: RunningLabs,
    },
    /// No lab is running.
    #[error("{NONE_RUNNING}")]
    NoneRunning,
    /// Several labs are running, so a name is needed.
    #[error("which lab? {0}")]
    Unclear(RunningLabs),
}

/// The names of the labs that are running, for an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningLabs(pub Vec<String>);

impl fmt::Display for RunningLabs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str(NONE_RUNNING),
            names => write!(f, "there is {}", names.join(", ")),
        }
    }
}

impl Registry {
    /// Returns the labs of this user: in `$XDG_RUNTIME_DIR` if that is set.
    ///
    /// # Errors
    /// Fails when the folder cannot be made or belongs to another user.
    pub fn of_user() -> Result<Self, RegistryError> {
        // The kernel gives a process's folder in /proc to the process's user.
        let uid = fs::metadata("/proc/self").map_or(0, |own| own.uid());
        let root = match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(folder) => PathBuf::from(folder).join("jackfield-lab"),
            None if uid == 0 => PathBuf::from("/run/jackfield-lab"),
            None => std::env::temp_dir().join(format!("jackfield-lab-{uid}")),
        };
        let labs = Self::at(root)?;
        // Anybody may make a folder in /tmp, and would then read what the labs write there.
        let owner = match fs::symlink_metadata(&labs.root) {
            Ok(owner) => owner,
            Err(error) => return Err(labs.unreadable(error)),
        };
        if !owner.is_dir() || owner.uid() != uid {
            return Err(RegistryError::OtherUser(labs.root));
        }
        Ok(labs)
    }

    /// Returns the labs of this folder, which is made for this user alone if it does not exist.
    ///
    /// # Errors
    /// Fails when the folder cannot be made.
    pub fn at(root: PathBuf) -> Result<Self, RegistryError> {
        match make(&root) {
            Ok(()) => Ok(Self { root }),
            Err(error) => Err(RegistryError::Make { path: root, error }),
        }
    }

    /// Takes the folder for a lab of that name; unless it has to be `exact`, a number is added to
    /// a name that is taken. Removes what killed labs left.
    ///
    /// # Errors
    /// Fails when the name cannot be one, when a lab of that very name runs, and when the folder
    /// cannot be made.
    pub fn claim(&self, name: &str, exact: bool) -> Result<Folder, RegistryError> {
        // The name becomes a folder's, and the folder is removed in the end, with all that is in
        // it.
        let sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(sound) {
            return Err(RegistryError::Name(name.to_owned()));
        }
        let _alone = self.lock()?;
        self.remove_leftovers();
        for number in 1..=MOST_LABS {
            let name = match number {
                1 => name.to_owned(),
                number => format!("{name}-{number}"),
            };
            if let Some(folder) = self.try_claim(&name)? {
                return Ok(folder);
            }
            if exact {
                return Err(RegistryError::Running(name));
            }
        }
        Err(RegistryError::TooMany(name.to_owned()))
    }

    fn try_claim(&self, name: &str) -> Result<Option<Folder>, RegistryError> {
        let path = self.folder(name);
        match lock(&path) {
            Ok(None) => Ok(None),
            Ok(Some(lock)) => Ok(Some(Folder {
                name: name.to_owned(),
                path,
                labs: self.clone(),
                _lock: lock,
            })),
            Err(error) => Err(RegistryError::Make { path, error }),
        }
    }

    /// Returns the labs that run, by name.
    ///
    /// # Errors
    /// Fails when the folder of the labs cannot be read.
    pub fn all(&self) -> Result<Vec<State>, RegistryError> {
        let _alone = self.lock()?;
        let mut states = Vec::new();
        for folder in self.folders()? {
            if is_locked(&folder)
                && let Some(state) = read(&folder)
            {
                states.push(state);
            }
        }
        states.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(states)
    }

    /// Returns the running lab of that name, or the only one when there is no name.
    ///
    /// # Errors
    /// Names the labs that run when it is none of them, or not clear which.
    pub fn find(&self, name: Option<&str>) -> Result<State, RegistryError> {
        let mut states = self.all()?;
        let place = match name {
            Some(name) => states.iter().position(|state| state.name == name),
            None => (states.len() == 1).then_some(0),
        };
        if let Some(place) = place {
            return Ok(states.swap_remove(place));
        }
        let running = RunningLabs(states.into_iter().map(|state| state.name).collect());
        Err(match name {
            Some(name) => RegistryError::Unknown {
                name: name.to_owned(),
                running,
            },
            None if running.0.is_empty() => RegistryError::NoneRunning,
            None => RegistryError::Unclear(running),
        })
    }

    /// Waits until no other process makes, judges or removes a folder; none may, then, for as
    /// long as the file is open.
    fn lock(&self) -> Result<File, RegistryError> {
        let path = self.root.join(LOCK_OF_ALL);
        let locked = File::create(&path).and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| RegistryError::Lock { path, error })
    }

    /// Returns the folder that a lab of that name has.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn unreadable(&self, error: io::Error) -> RegistryError {
        RegistryError::Read {
            path: self.root.clone(),
            error,
        }
    }

    fn folders(&self) -> Result<Vec<PathBuf>, RegistryError> {
        let entries = fs::read_dir(&self.root).map_err(|error| self.unreadable(error))?;
        let folders = entries.flatten().map(|entry| entry.path());
        Ok(folders.filter(|path| path.is_dir()).collect())
    }

    fn remove_leftovers(&self) {
        for path in self.folders().unwrap_or_default() {
            if !is_locked(&path)
                && let Err(error) = fs::remove_dir_all(&path)
            {
                tracing::debug!(%error, path = %path.display(), "Leftover cannot be removed");
            }
        }
    }
}

impl Folder {
    /// Returns the lab's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets other processes find the lab.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub fn publish(&self, state: &State) -> Result<(), RegistryError> {
        // Readers do not wait for the writer, so the file appears under its name when it is whole.
        let draft = self.path.join("state.new");
        let path = self.path.join(STATE);
        let text = serde_json::to_vec(state).map_err(io::Error::from);
        text.and_then(|text| fs::write(&draft, text))
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|error| RegistryError::Write { path, error })
    }

    /// Removes the folder after the end of its lab.
    pub fn remove(self) {
        let removed = self.labs.lock().and_then(|_alone| {
            fs::remove_dir_all(&self.path).map_err(|error| RegistryError::Remove {
                path: self.path.clone(),
                error,
            })
        });
        if let Err(error) = removed {
            tracing::debug!(%error, "Folder stays behind");
        }
    }
}

/// Returns the state that the lab of this folder has published, if it has.
pub(super) fn read(folder: &Path) -> Option<State> {
    let text = fs::read(folder.join(STATE)).ok()?;
    serde_json::from_slice(&text).ok()
}

fn is_locked(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|file| is_taken(&file).unwrap_or(true))
}

/// Makes a folder for this user alone, unless it is there.
fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes the folder of a lab and locks it; returns `None` when another lab has locked it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    make(path)?;
    let lock = File::create(path.join(LOCK))?;
    Ok((!is_taken(&lock)?).then_some(lock))
}

/// Locks a file for as long as this process, or one that it forks, has it open. Returns whether
/// another process has locked it.
fn is_taken(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The file in a lab's folder that is locked while the lab lives.
const LOCK: &str = "lock";
/// The file beside the folders of the labs that is locked while one is made, judged or removed. No
/// lab has that name, because of the dot.
const LOCK_OF_ALL: &str = ".lock";
/// The file in a lab's folder with its [`State`].
const STATE: &str = "state.json";
const MOST_LABS: usize = 1000;
const NONE_RUNNING: &str = "no lab is running: `jackfield lab up` starts one";
