//! Labs that stay: started, entered and ended by other processes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jackfield_router::namespace::join;
use jackfield_router::namespace::process::{self, Signal};
use tokio::signal::unix::{SignalKind, signal};

use super::processes::code;
use super::state::{self, State};

/// Starts a lab that stays, by a process of its own that is called with `arguments`; returns when it is there,
/// with the file that what it prints goes to.
///
/// # Errors
/// Fails when the lab does, with what it printed.
pub fn up(name: &str, arguments: &[String]) -> Result<(State, PathBuf)> {
    let program = std::env::current_exe().context("this program does not find itself")?;
    let (mut log, path) = log(name)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?);
    process::detach(&mut command);
    let mut child = command.spawn().context("no process for the lab")?;
    let folder = state::folder(name)?;
    loop {
        // The file of an earlier lab of that name is of another process.
        if let Some(state) = state::read(&folder)
            && state.supervisor == child.id()
        {
            return Ok((state, path));
        }
        if let Some(status) = child.try_wait()? {
            use std::io::{Read, Seek};
            let mut text = String::new();
            log.rewind()?;
            log.read_to_string(&mut text)?;
            let text = text.trim_end();
            let text = text.strip_prefix("jackfield: ").unwrap_or(text);
            // Nobody will look for it there any more.
            let _ = fs::remove_file(path);
            bail!("{text} (exit code {})", code(status));
        }
        std::thread::sleep(STEP);
    }
}

/// What a lab that stays prints goes to a file beside its folder.
fn log(name: &str) -> Result<(File, PathBuf)> {
    let path = state::folder(name)?.with_extension("log");
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(true);
    let file = file.open(&path);
    let file = file.with_context(|| format!("{} cannot be written", path.display()))?;
    Ok((file, path))
}

/// Runs a program on a host of a running lab, with this process's terminal; returns its exit code.
///
/// # Errors
/// Fails when there is no such host, when the lab may not be entered, and when the program cannot be started.
pub fn exec(lab: &State, host: &str, words: &[String]) -> Result<u8> {
    let known = || lab.hosts.keys().cloned().collect::<Vec<_>>().join(", ");
    let there = lab.hosts.get(host);
    let there = there.with_context(|| format!("no host is called {host}: there is {}", known()))?;
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".into());
    let shell = [shell];
    let words = if words.is_empty() { &shell } else { words };
    let (program, arguments) = words.split_first().context("there is nothing to run")?;
    let _joined = join(lab.inside, there.netns)?;
    let mut command = Command::new(program);
    command.args(arguments).envs(&there.variables);
    process::call_host(&mut command, host);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Ctrl-C is for the program: this process ends with it.
        let _interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut ended = signal(SignalKind::child())?;
        let failed = || format!("{program} cannot be started");
        let mut child = command.spawn().with_context(failed)?;
        // There can be no more threads: they would be in two PID namespaces at once.
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(code(status));
            }
            tokio::select! {
                _ = ended.recv() => {}
                _ = terminate.recv() => process::send(child.id() as i32, Signal::Terminate)?,
            }
        }
    })
}

/// Ends a running lab, and returns when it is gone.
///
/// # Errors
/// Fails when it is another user's, and when it does not end.
pub fn down(lab: &State) -> Result<()> {
    let pid = lab.supervisor as i32;
    process::send(pid, Signal::Terminate)
        .with_context(|| format!("the lab {} cannot be told to end", lab.name))?;
    let begun = Instant::now();
    let folder = state::folder(&lab.name)?;
    let is_there = |folder: &Path| state::read(folder).is_some_and(|state| state == *lab);
    while is_there(&folder) {
        if begun.elapsed() > PATIENCE {
            // With its supervisor goes all that is left of it.
            process::send(pid, Signal::Kill)?;
            break;
        }
        std::thread::sleep(STEP);
    }
    // A log that was never written is none to remove.
    let _ = fs::remove_file(folder.with_extension("log"));
    Ok(())
}

/// How long a lab may take to end in order.
const PATIENCE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(20);
