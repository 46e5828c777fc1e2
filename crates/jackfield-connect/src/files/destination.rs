//! Where files arrive: below one folder, never through a link, and never over another file.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::digest::Digest;
use super::message::{Entry, Reason};
use super::path::EntryPath;

/// The folder of a receiver.
#[derive(Debug, Clone)]
pub struct Destination {
    folder: PathBuf,
    overwrite: bool,
}

/// Why something cannot be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// The disk, or the user's share of it, is full.
    #[error("the disk is full: {} is not whole", .0.display())]
    Full(PathBuf),
    /// A file of that name is there, with other content.
    #[error("{} is there already, and is another file", .0.display())]
    Exists(PathBuf),
    /// A link, or a file where a folder is needed, is on the way.
    #[error("{} is a link or no folder: nothing is written through it", .0.display())]
    NotAFolder(PathBuf),
    /// The system refused.
    #[error("cannot write {}", path.display())]
    Refused {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DiskError {
    /// Returns what the other side learns of it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Full(_) => Reason::DiskFull,
            Self::Exists(_) => Reason::Exists,
            Self::NotAFolder(_) => Reason::BadPath,
            Self::Refused { .. } => Reason::DiskError,
        }
    }

    pub(super) fn of(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path),
            io::ErrorKind::AlreadyExists => Self::Exists(path),
            io::ErrorKind::NotADirectory => Self::NotAFolder(path),
            _ if is_link(&source) => Self::NotAFolder(path),
            _ => Self::Refused { path, source },
        }
    }
}

impl Destination {
    /// Receives below `folder`, which is made if it is not there; `overwrite` lets files of other
    /// content be replaced.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, overwrite: bool) -> Self {
        let folder = folder.into();
        Self { folder, overwrite }
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn overwrites(&self) -> bool {
        self.overwrite
    }

    /// Returns where an entry ends up.
    pub(super) fn path_of(&self, path: &EntryPath) -> PathBuf {
        self.folder.join(path.to_path())
    }

    /// Returns what is at the place of an entry; a link counts as itself.
    pub(super) fn look(&self, path: &EntryPath) -> Result<Option<Metadata>, DiskError> {
        let path = self.path_of(path);
        match fs::symlink_metadata(&path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::of(&path)(error)),
        }
    }

    /// Makes the receiver's folder and the folders of a path, the last name left out unless
    /// `whole`. Nothing below the receiver's folder is entered through a link.
    pub(super) fn make_folders(&self, path: &EntryPath, whole: bool) -> Result<(), DiskError> {
        fs::create_dir_all(&self.folder).map_err(DiskError::of(&self.folder))?;
        let mut folder = self.folder.clone();
        let count = path.names().count() - usize::from(!whole);
        for name in path.names().take(count) {
            folder.push(name);
            match fs::create_dir(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let there = fs::symlink_metadata(&folder).map_err(DiskError::of(&folder))?;
                    if !there.is_dir() {
                        return Err(DiskError::NotAFolder(folder));
                    }
                }
                Err(error) => return Err(DiskError::of(&folder)(error)),
            }
        }
        Ok(())
    }

    /// Opens the unfinished file of an entry, which an earlier try may have left, at its end;
    /// returns it with its length and the state of its checksum.
    pub(super) fn open_part(&self, part: &Path, entry: &Entry) -> Result<Prefix, DiskError> {
        let opened = options().create(true).truncate(false).open(part);
        let file = opened.map_err(DiskError::of(part))?;
        let metadata = file.metadata().map_err(DiskError::of(part))?;
        if !metadata.is_file() {
            return Err(DiskError::Exists(part.to_owned()));
        }
        if metadata.len() > entry.size {
            file.set_len(0).map_err(DiskError::of(part))?;
        }
        Prefix::read(file, part)
    }

    /// Returns the name of the unfinished file of an entry. It depends on the size and time of the
    /// sender's file, so that what another file left is not gone on with.
    pub(super) fn part_of(&self, path: &EntryPath, entry: &Entry) -> PathBuf {
        let mut hasher = Sha256::new();
        hasher.update(path.as_str());
        hasher.update([0]);
        hasher.update(entry.size.to_be_bytes());
        hasher.update(entry.mtime.unwrap_or_default().to_be_bytes());
        let tag = Digest::of(hasher).to_string();
        let (tag, _) = tag.split_at(TAG);
        let name = path.name();
        let end = name.floor_char_boundary(MAX_PART_STEM);
        let (stem, _) = name.split_at(end);
        self.path_of(path)
            .with_file_name(format!("{stem}.{tag}.part"))
    }

    /// Gives a file that is whole its time, its mode and its name.
    ///
    /// The file is on the disk before it has its name: after a crash, a name without its content
    /// would pass for another file and be refused. Its name need not be on the disk at once, as the
    /// unfinished file is then found whole; see [`Destination::sync_folders`].
    pub(super) fn finish(
        &self,
        file: File,
        part: &Path,
        path: &EntryPath,
        entry: &Entry,
    ) -> Result<(), DiskError> {
        let place = self.path_of(path);
        set_attributes(&file, entry).map_err(DiskError::of(part))?;
        file.sync_all().map_err(DiskError::of(part))?;
        drop(file);
        let moved = if self.overwrite {
            fs::rename(part, &place)
        } else {
            rename_into_nothing(part, &place)
        };
        moved.map_err(DiskError::of(&place))
    }

    /// Returns the folders that name an entry: the one it is in, and those up to the receiver's.
    pub(super) fn folders_of(&self, path: &EntryPath) -> impl Iterator<Item = PathBuf> {
        let place = self.path_of(path);
        let depth = path.names().count();
        let mut folder = place;
        std::iter::repeat_with(move || {
            folder.pop();
            folder.clone()
        })
        .take(depth)
    }

    /// Writes the names in these folders to the disk.
    ///
    /// It is done once for each folder, at the end of a transfer: a folder of many small files
    /// would otherwise be written once for each of them.
    pub(super) fn sync_folders(folders: &BTreeSet<PathBuf>) -> Result<(), DiskError> {
        // Only on Unix can a folder be opened as a file.
        if cfg!(unix) {
            for folder in folders {
                // An empty path is the working directory.
                let is_here = folder.as_os_str().is_empty();
                let path = if is_here { Path::new(".") } else { folder };
                let synced = File::open(path).and_then(|folder| folder.sync_all());
                match synced {
                    // Not every file system can sync a folder.
                    Err(error) if is_unsupported(&error) => {}
                    synced => synced.map_err(DiskError::of(folder))?,
                }
            }
        }
        Ok(())
    }

    /// Gives a folder its time, which writing into it has changed.
    pub(super) fn finish_folder(&self, path: &EntryPath, entry: &Entry) -> Result<(), DiskError> {
        let place = self.path_of(path);
        let Some(time) = entry.mtime.and_then(time_of) else {
            return Ok(());
        };
        let set = File::open(&place).and_then(|folder| folder.set_modified(time));
        set.map_err(DiskError::of(&place))
    }
}

/// A file that holds the beginning of an entry, perhaps all of it.
#[derive(Debug)]
pub(super) struct Prefix {
    pub(super) file: File,
    pub(super) len: u64,
    pub(super) hasher: Sha256,
}

impl Prefix {
    /// Reads a file to its end.
    pub(super) fn read(mut file: File, path: &Path) -> Result<Self, DiskError> {
        let mut hasher = Sha256::new();
        let len = hash_up_to(&mut file, &mut hasher, u64::MAX).map_err(DiskError::of(path))?;
        Ok(Self { file, len, hasher })
    }
}

/// Hashes at most `limit` bytes of a file; returns how many there were.
pub(super) fn hash_up_to(file: &mut File, hasher: &mut Sha256, limit: u64) -> io::Result<u64> {
    use std::io::Read;
    let mut buffer = vec![0; HASHED_AT_ONCE];
    let mut reader = file.take(limit);
    let mut len = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(len),
            Ok(read) => {
                hasher.update(buffer.get(..read).unwrap_or_default());
                len += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A link in the place of an unfinished file would have us write somewhere else.
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options
}

#[cfg(unix)]
fn is_link(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP)
}

#[cfg(not(unix))]
fn is_link(_: &io::Error) -> bool {
    false
}

fn is_unsupported(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    // Files can be made in a folder that the program may not read, which it therefore cannot open.
    matches!(error.kind(), InvalidInput | Unsupported | PermissionDenied)
}

fn set_attributes(file: &File, entry: &Entry) -> io::Result<()> {
    if let Some(time) = entry.mtime.and_then(time_of) {
        file.set_modified(time)?;
    }
    #[cfg(unix)]
    if entry.executable {
        use std::os::unix::fs::PermissionsExt;
        let mut permissions = file.metadata()?.permissions();
        let mode = permissions.mode();
        // Those who may read it may run it: what the umask took away stays away.
        permissions.set_mode(mode | (mode & 0o444) >> 2);
        file.set_permissions(permissions)?;
    }
    Ok(())
}

fn time_of(milliseconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_millis(milliseconds.unsigned_abs());
    if milliseconds < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    }
}

/// Renames a file unless something has the new name.
fn rename_into_nothing(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Not every file system knows the flag.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return Ok(()),
        }
    }
    match fs::symlink_metadata(to) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
        Err(error) => Err(error),
    }
}

/// Hexadecimal digits in the name of an unfinished file.
const TAG: usize = 8;

/// Bytes of the name that an unfinished file keeps, so that its own name is not too long.
const MAX_PART_STEM: usize = 200;

const HASHED_AT_ONCE: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_an_entry_are_in_every_folder_up_to_the_receivers() {
        let destination = Destination::new("/to", false);
        let folders: Vec<PathBuf> = destination.folders_of(&"a/b/c".parse().unwrap()).collect();
        assert_eq!(folders, ["/to/a/b", "/to/a", "/to"].map(PathBuf::from));
        let here = Destination::new("", false);
        let folders: BTreeSet<PathBuf> = here.folders_of(&"c".parse().unwrap()).collect();
        assert_eq!(folders, BTreeSet::from([PathBuf::new()]));
        Destination::sync_folders(&folders).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_gone_is_not_taken_for_one_on_the_disk() {
        let there = tempfile::tempdir().unwrap();
        let mut folders = BTreeSet::from([there.path().to_owned()]);
        Destination::sync_folders(&folders).unwrap();
        folders.insert(there.path().join("gone"));
        let error = Destination::sync_folders(&folders).unwrap_err();
        assert!(matches!(error, DiskError::Refused { .. }), "{error:?}");
    }
}
