//! Runs programs on the hosts of a lab, as the first process of a PID namespace.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jackfield_router::Netns;
use jackfield_router::namespace::process::{self, Signal};
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use super::output::{Output, Stream};
use super::spec::{Job, Words};

/// Starts programs, and notices when they end.
#[derive(Debug, Clone)]
pub(super) struct Crew {
    running: Arc<Mutex<HashMap<u32, Member>>>,
    stopping: Arc<AtomicBool>,
    output: Output,
    /// Where the end of a program in the background is said.
    note: fn(&str),
}

#[derive(Debug)]
struct Member {
    /// Whether it leads a process group of its own.
    leads: bool,
    ended: oneshot::Sender<ExitStatus>,
}

/// A program that was started.
#[derive(Debug)]
pub(super) struct Started {
    /// What it is called in messages.
    pub(super) name: String,
    /// Resolves when it has ended and all it printed is printed.
    pub(super) ended: tokio::task::JoinHandle<u8>,
    /// Becomes true when it has printed what it was to print.
    pub(super) seen: watch::Receiver<bool>,
}

/// Where a program runs and what it is told.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) netns: &'a Netns,
    pub(super) variables: BTreeMap<String, String>,
    /// Whether it has the terminal for itself.
    pub(super) terminal: bool,
}

impl Crew {
    /// Returns one without members; `collect` has to be polled for it to notice ends.
    pub(super) fn new(output: Output, note: fn(&str)) -> Self {
        Self {
            running: Arc::default(),
            stopping: Arc::default(),
            output,
            note,
        }
    }

    /// Collects ended processes, those too that nobody waits for: orphans are ours.
    pub(super) async fn collect(self) -> Result<()> {
        let mut ended = signal(SignalKind::child()).context("ends of programs go unnoticed")?;
        loop {
            while let Some((pid, status)) = process::collect() {
                if let Some(member) = self.lock().remove(&pid) {
                    let _nobody_waits = member.ended.send(status);
                }
            }
            ended.recv().await;
        }
    }

    /// Starts a program.
    ///
    /// # Errors
    /// Fails when it is not there or may not be run.
    pub(super) fn start(&self, job: &Job, place: &Place<'_>) -> Result<Started> {
        let mut command = command(job, place)?;
        let name = label(job);
        let mut child = command
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let (ended, status) = oneshot::channel();
        let member = Member {
            leads: !place.terminal,
            ended,
        };
        self.lock().insert(child.id(), member);
        let (seen, is_seen) = watch::channel(false);
        let mut copies = Vec::new();
        if let Some(out) = child.stdout.take() {
            copies.push(self.copy(job, Stream::Out, out.into(), seen.clone())?);
        }
        if let Some(err) = child.stderr.take() {
            copies.push(self.copy(job, Stream::Err, err.into(), seen)?);
        }
        let ended = tokio::spawn(async move {
            let status = status.await.map_or(1, code);
            for copy in copies {
                // What a grandchild holds open may go on for long.
                let _ = tokio::time::timeout(LAST_WORDS, copy).await;
            }
            status
        });
        Ok(Started {
            name,
            ended,
            seen: is_seen,
        })
    }

    fn copy(
        &self,
        job: &Job,
        stream: Stream,
        from: std::os::fd::OwnedFd,
        seen: watch::Sender<bool>,
    ) -> io::Result<tokio::task::JoinHandle<()>> {
        let from = pipe::Receiver::from_owned_fd(from)?;
        let (output, host) = (self.output.clone(), job.host.clone());
        let wanted = job.ready.clone();
        Ok(tokio::spawn(output.copy(host, stream, from, wanted, seen)))
    }

    /// Says when a program in the background has ended, and how.
    pub(super) async fn mourn(self, program: Started) {
        let code = program.ended.await.unwrap_or(1);
        if !self.stopping.load(Ordering::Relaxed) {
            (self.note)(&format!("{} ended with {code}", program.name));
        }
    }

    /// Tells every program to end; those that do not within the time are left to the kernel.
    pub(super) async fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        for (pid, member) in self.lock().iter() {
            let pid = *pid as i32;
            // One that has ended meanwhile need not be told.
            let _ = process::send(if member.leads { -pid } else { pid }, Signal::Terminate);
        }
        let deadline = tokio::time::Instant::now() + GRACE;
        while !self.lock().is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(STEP).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Member>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Started {
    /// Waits until the program has said that it is ready.
    ///
    /// # Errors
    /// Fails when it ends before, and when it takes too long.
    pub(super) async fn ready(&mut self, job: &Job) -> Result<()> {
        let Some(text) = &job.ready else {
            return Ok(());
        };
        let name = &self.name;
        let told = async {
            match self.seen.wait_for(|seen| *seen).await {
                Ok(_) => Ok(()),
                // It has closed its output: its end says more.
                Err(_) => Err((&mut self.ended).await.unwrap_or(1)),
            }
        };
        match tokio::time::timeout(job.patience, told).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(code)) => bail!("{name} ended with {code} before it printed `{text}`"),
            Err(_) => bail!("{name} did not print `{text}` within {:?}", job.patience),
        }
    }
}

/// Returns what a program is called in messages: its host and its first word.
fn label(job: &Job) -> String {
    let first = match &job.words {
        Words::Shell(line) => line.split_whitespace().next().unwrap_or_default(),
        Words::Exact(words) => words.first().map_or("", String::as_str),
    };
    let first = Path::new(first).file_name().and_then(|name| name.to_str());
    format!("{} on {}", first.unwrap_or("the program"), job.host)
}

fn command(job: &Job, place: &Place<'_>) -> Result<Command> {
    let mut command = match &job.words {
        Words::Shell(line) => {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", line]);
            shell
        }
        Words::Exact(words) => {
            let (program, arguments) = words.split_first().context("there is nothing to run")?;
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
    };
    command.envs(&place.variables).envs(&job.environment);
    if let Some(folder) = &job.folder {
        command.current_dir(folder);
    }
    if !place.terminal {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
    }
    place.netns.start_inside(&mut command)?;
    process::call_host(&mut command, &job.host);
    Ok(command)
}

/// Returns an exit code as shells do: 128 and the signal's number for who was killed.
pub fn code(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| 128 + signal);
    let code = status.code().or(signal).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// How long programs may take to end.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether they have.
const STEP: Duration = Duration::from_millis(10);
/// How long output is waited for that its program has left behind.
const LAST_WORDS: Duration = Duration::from_millis(200);
