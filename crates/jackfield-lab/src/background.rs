//! Labs that run in the background: other processes start, enter and end them.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jackfield_router::namespace::process::{self, Signal};
use jackfield_router::namespace::{JoinError, join};
use tokio::signal::unix::{SignalKind, signal};

use super::processes::exit_code;
use super::state::{self, Registry, RegistryError, State};

/// Why a lab in the background could not be started, entered or ended. Its text names the cause,
/// too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackgroundError {
    /// The folder of the labs cannot be used.
    #[error("{0}")]
    Registry(#[from] RegistryError),
    /// The file for the lab's output cannot be written.
    #[error("{} cannot be written: {error}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The lab's process cannot be started.
    #[error("the lab cannot be started: {0}")]
    Start(io::Error),
    /// The lab's process ended before the lab worked.
    #[error("{output} (exit code {code})")]
    Ended {
        /// What the process printed.
        output: String,
        /// The exit code of the process.
        code: u8,
    },
    /// The lab has no such host.
    #[error("no host is called {host}: there is {known}")]
    NoHost {
        /// The host.
        host: String,
        /// The hosts that there are.
        known: String,
    },
    /// There are no words to run.
    #[error("there is nothing to run")]
    Empty,
    /// This user may not enter the lab.
    #[error("{0}")]
    Join(#[from] JoinError),
    /// The program does not exist or may not be run.
    #[error("{program} cannot be started: {error}")]
    Program {
        /// The program.
        program: String,
        /// What the system says.
        error: io::Error,
    },
    /// The lab belongs to another user.
    #[error("the lab {name} cannot be ended: {error}")]
    Stop {
        /// The lab.
        name: String,
        /// What the system says.
        error: io::Error,
    },
    /// The system refused a process, a signal or a file of ours.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Starts a lab that stays: runs `command`, which has to run a lab of that very name, in a session
/// of its own. Returns when the lab works, with the path of the file that takes its output.
///
/// # Errors
/// Fails when the command ends before the lab works, with what it printed.
pub fn up(name: &str, mut command: Command) -> Result<(State, PathBuf), BackgroundError> {
    let (mut log, path) = log(name)?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?);
    process::detach(&mut command);
    let mut child = command.spawn().map_err(BackgroundError::Start)?;
    let folder = Registry::of_user()?.folder(name);
    loop {
        // An earlier lab of that name may have left its file: that one names another process.
        if let Some(state) = state::read(&folder)
            && state.supervisor == child.id()
        {
            return Ok((state, path));
        }
        if let Some(status) = child.try_wait()? {
            let mut text = String::new();
            log.rewind()?;
            log.read_to_string(&mut text)?;
            // The error says what the file does.
            remove_log(&path);
            return Err(BackgroundError::Ended {
                output: text.trim_end().to_owned(),
                code: exit_code(status),
            });
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Opens the file beside the lab's folder that takes the output of a lab in the background.
fn log(name: &str) -> Result<(File, PathBuf), BackgroundError> {
    let path = Registry::of_user()?.folder(name).with_extension("log");
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(true);
    match file.open(&path) {
        Ok(file) => Ok((file, path)),
        Err(error) => Err(BackgroundError::Log { path, error }),
    }
}

/// Runs a program on a host of a running lab, with this process's terminal; without words the
/// user's shell. Returns the exit code.
///
/// The process has to have a single thread. It can do nothing else afterwards, because it stays in
/// the namespaces of the host.
///
/// # Errors
/// Fails when the lab has no such host, when this user may not enter the lab, and when the program
/// cannot be started.
pub fn exec(lab: &State, host: &str, words: &[String]) -> Result<u8, BackgroundError> {
    let there = lab.hosts.get(host).ok_or_else(|| BackgroundError::NoHost {
        host: host.to_owned(),
        known: lab.hosts.keys().cloned().collect::<Vec<_>>().join(", "),
    })?;
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".into());
    let shell = [shell];
    let words = if words.is_empty() { &shell } else { words };
    let (program, arguments) = words.split_first().ok_or(BackgroundError::Empty)?;
    let _joined = join(lab.inside, there.netns)?;
    let mut command = Command::new(program);
    command.args(arguments).envs(&there.variables);
    process::set_host_name(&mut command, host);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // The terminal sends Ctrl-C to both processes. Here it is caught and ignored, so that the
        // program decides what it means.
        let _interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut ended = signal(SignalKind::child())?;
        let mut child = command.spawn().map_err(|error| BackgroundError::Program {
            program: program.clone(),
            error,
        })?;
        // After `join` the kernel starts no thread for this process, since its threads would be in
        // two PID namespaces (setns(2)). So nothing here may use tokio's blocking pool.
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(exit_code(status));
            }
            tokio::select! {
                _ = ended.recv() => {}
                _ = terminate.recv() => process::send(child.id() as i32, Signal::Terminate)?,
            }
        }
    })
}

/// Ends a running lab and returns when it is gone. A lab that takes longer than ten seconds is
/// killed.
///
/// # Errors
/// Fails when the lab belongs to another user.
pub fn down(lab: &State) -> Result<(), BackgroundError> {
    let pid = lab.supervisor as i32;
    process::send(pid, Signal::Terminate).map_err(|error| BackgroundError::Stop {
        name: lab.name.clone(),
        error,
    })?;
    let begun = Instant::now();
    let folder = Registry::of_user()?.folder(&lab.name);
    let is_there = |folder: &Path| state::read(folder).is_some_and(|state| state == *lab);
    while is_there(&folder) {
        if begun.elapsed() > STOP_TIMEOUT {
            // The first process inside dies with its supervisor, and everything else with that.
            process::send(pid, Signal::Kill)?;
            break;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    remove_log(&folder.with_extension("log"));
    Ok(())
}

/// Removes the file with a lab's output; a lab in the foreground has none.
fn remove_log(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(%error, path = %path.display(), "Log stays behind");
    }
}

/// How long a lab may take to end in order.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the state of a lab is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
