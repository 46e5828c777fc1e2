//! Runs programs on the hosts of a lab, as the first process of a PID namespace.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jackfield_router::Netns;
use jackfield_router::namespace::process::{self, Signal};
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::event::{Event, Observer, Stream};
use super::output::LineReader;
use super::spec::{CommandLine, Job};

/// The programs of a lab: starts them, reaps them and stops them.
#[derive(Debug, Clone)]
pub(super) struct Processes {
    running: Arc<Mutex<HashMap<u32, Process>>>,
    /// From here on an ended program is no news.
    stopping: Arc<AtomicBool>,
    observer: Observer,
}

#[derive(Debug)]
struct Process {
    /// Whether it leads a process group of its own, which then is signalled as a whole.
    leads_group: bool,
    ended: oneshot::Sender<ExitStatus>,
}

/// A program that was started.
#[derive(Debug)]
pub(super) struct Program {
    /// The program and its host, for messages.
    pub(super) name: String,
    /// Resolves to the exit code once the program has ended and its output has been read.
    pub(super) ended: JoinHandle<u8>,
    /// Becomes true when the program has printed the text that its job waits for.
    is_ready: watch::Receiver<bool>,
}

/// What a program finds around it.
#[derive(Debug)]
pub(super) struct JobContext<'a> {
    pub(super) netns: &'a Netns,
    /// Environment variables that describe the lab.
    pub(super) variables: BTreeMap<String, String>,
    /// Whether the program has the lab's terminal; its output is not read then.
    pub(super) has_terminal: bool,
}

/// Why a program of a lab did not run. Its text names the cause, too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The job has neither a line nor words.
    #[error("there is nothing to run")]
    Empty,
    /// The program does not exist or may not be run.
    #[error("{program} cannot be started: {error}")]
    Start {
        /// The program and its host.
        program: String,
        /// What the system says.
        error: io::Error,
    },
    /// The program's surroundings cannot be set up.
    #[error("{0}")]
    Setup(io::Error),
    /// The program ended before it was ready.
    #[error("{program} ended with {code} before it printed `{text}`")]
    EndedEarly {
        /// The program and its host.
        program: String,
        /// The program's exit code.
        code: u8,
        /// The text that says that it is ready.
        text: String,
    },
    /// The program was not ready in time.
    #[error("{program} did not print `{text}` within {timeout:?}")]
    NotReady {
        /// The program and its host.
        program: String,
        /// The text that says that it is ready.
        text: String,
        /// How long the lab waited.
        timeout: Duration,
    },
    /// The system does not say when programs end.
    #[error("ends of programs go unnoticed: {0}")]
    Unnoticed(io::Error),
}

impl Processes {
    /// Returns an empty set. [`Self::reap`] has to be polled for ends to be noticed.
    pub(super) fn new(observer: Observer) -> Self {
        Self {
            running: Arc::default(),
            stopping: Arc::default(),
            observer,
        }
    }

    /// Reaps every child that ends, for as long as it is polled.
    ///
    /// This process is the first of its PID namespace, so the kernel makes it the parent of every
    /// orphan: children that it never started come here, too, and would stay zombies otherwise.
    pub(super) async fn reap(self) -> Result<(), ProcessError> {
        let mut ended = signal(SignalKind::child()).map_err(ProcessError::Unnoticed)?;
        loop {
            while let Some((pid, status)) = process::collect() {
                if let Some(process) = self.lock().remove(&pid) {
                    // The receiver may be gone, as when the lab is ending.
                    let _no_receiver = process.ended.send(status);
                }
            }
            ended.recv().await;
        }
    }

    /// Starts a program.
    ///
    /// # Errors
    /// Fails when the program does not exist or may not be run.
    pub(super) fn start(
        &self,
        job: &Job,
        context: &JobContext<'_>,
    ) -> Result<Program, ProcessError> {
        let mut command = command(job, context)?;
        let name = label(job);
        let mut child = command.spawn().map_err(|error| ProcessError::Start {
            program: name.clone(),
            error,
        })?;
        let (ended, status) = oneshot::channel();
        let process = Process {
            leads_group: !context.has_terminal,
            ended,
        };
        // No await lies between `spawn` and here, so `reap` cannot collect a child that is not
        // known yet.
        self.lock().insert(child.id(), process);
        let (is_ready, seen) = watch::channel(false);
        let mut readers = Vec::new();
        if let Some(out) = child.stdout.take() {
            readers.push(self.read(job, Stream::Out, out.into(), is_ready.clone())?);
        }
        if let Some(err) = child.stderr.take() {
            readers.push(self.read(job, Stream::Err, err.into(), is_ready)?);
        }
        let ended = tokio::spawn(async move {
            let code = status.await.map_or(1, exit_code);
            for reader in readers {
                // A grandchild may hold the pipe open long after the program has ended.
                let _ = tokio::time::timeout(OUTPUT_TIMEOUT, reader).await;
            }
            code
        });
        Ok(Program {
            name,
            ended,
            is_ready: seen,
        })
    }

    /// Reads one output of a program in a task of its own.
    fn read(
        &self,
        job: &Job,
        stream: Stream,
        from: OwnedFd,
        is_ready: watch::Sender<bool>,
    ) -> Result<JoinHandle<()>, ProcessError> {
        let from = pipe::Receiver::from_owned_fd(from).map_err(ProcessError::Setup)?;
        let reader = LineReader {
            host: job.host.clone(),
            stream,
            ready: job.ready.clone(),
            is_ready,
            observer: self.observer.clone(),
        };
        Ok(tokio::spawn(reader.run(from)))
    }

    /// Waits for a program in the background and reports its end, unless the lab is ending, too.
    pub(super) async fn report_end(self, program: Program) {
        let code = program.ended.await.unwrap_or(1);
        if !self.stopping.load(Ordering::Relaxed) {
            let program = &program.name;
            self.observer.report(&Event::Ended { program, code });
        }
    }

    /// Asks every program to end (SIGTERM) and waits up to two seconds. The kernel kills the rest
    /// when this process, the first of the PID namespace, ends.
    pub(super) async fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        for (pid, process) in self.lock().iter() {
            let pid = *pid as i32;
            // The program may have ended in the meantime, which is what the signal is for.
            let _ = process::send(
                if process.leads_group { -pid } else { pid },
                Signal::Terminate,
            );
        }
        let deadline = tokio::time::Instant::now() + STOP_TIMEOUT;
        while !self.lock().is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(STOP_POLL).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Process>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Program {
    /// Waits until the program has printed the text that its job waits for, if it waits for one.
    ///
    /// # Errors
    /// Fails when the program ends first and when it takes longer than [`Job::ready_timeout`].
    pub(super) async fn ready(&mut self, job: &Job) -> Result<(), ProcessError> {
        let Some(text) = &job.ready else {
            return Ok(());
        };
        let program = self.name.clone();
        let printed = async {
            match self.is_ready.wait_for(|is_ready| *is_ready).await {
                Ok(_) => Ok(()),
                // Both outputs are closed: the exit code says more than that.
                Err(_) => Err((&mut self.ended).await.unwrap_or(1)),
            }
        };
        match tokio::time::timeout(job.ready_timeout, printed).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(code)) => Err(ProcessError::EndedEarly {
                program,
                code,
                text: text.clone(),
            }),
            Err(_) => Err(ProcessError::NotReady {
                program,
                text: text.clone(),
                timeout: job.ready_timeout,
            }),
        }
    }
}

/// Returns what a program is called in messages: its first word and its host.
fn label(job: &Job) -> String {
    let first = match &job.command {
        CommandLine::Shell(line) => line.split_whitespace().next().unwrap_or_default(),
        CommandLine::Exec(words) => words.first().map_or("", String::as_str),
    };
    let first = Path::new(first).file_name().and_then(|name| name.to_str());
    format!("{} on {}", first.unwrap_or("the program"), job.host)
}

fn command(job: &Job, context: &JobContext<'_>) -> Result<Command, ProcessError> {
    let mut command = match &job.command {
        CommandLine::Shell(line) => {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", line]);
            shell
        }
        CommandLine::Exec(words) => {
            let (program, arguments) = words.split_first().ok_or(ProcessError::Empty)?;
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
    };
    // A job's own variables win over those of the lab.
    command.envs(&context.variables).envs(&job.environment);
    if let Some(folder) = &job.folder {
        command.current_dir(folder);
    }
    if !context.has_terminal {
        // A process group of its own keeps Ctrl-C from it: the lab stops its programs in order.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
    }
    let inside = context.netns.start_inside(&mut command);
    inside.map_err(ProcessError::Setup)?;
    process::set_host_name(&mut command, &job.host);
    Ok(command)
}

/// Returns a program's exit code as shells do: 128 and the signal's number when a signal killed
/// it.
pub(super) fn exit_code(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| 128 + signal);
    let code = status.code().or(signal).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// How long programs may take to end when they are asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How often [`Processes::stop`] looks whether they have.
const STOP_POLL: Duration = Duration::from_millis(10);
/// How long the output of an ended program is read.
const OUTPUT_TIMEOUT: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_shells() {
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        // SIGKILL is 9 and SIGTERM 15; 0x80 says that there is a core dump besides.
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
        assert_eq!(exit_code(ExitStatus::from_raw(15 | 0x80)), 143);
    }

    #[test]
    fn messages_name_the_program_without_its_folder_and_its_host() {
        let label = |command| label(&Job::new("ann", command));
        let shell = |line: &str| CommandLine::Shell(line.into());
        let exec = |words: &[&str]| CommandLine::Exec(words.iter().map(|&w| w.into()).collect());
        assert_eq!(label(shell("  /usr/bin/ping -c 1 bob")), "ping on ann");
        assert_eq!(label(exec(&["./serve.sh", "now"])), "serve.sh on ann");
        assert_eq!(label(shell("")), "the program on ann");
        assert_eq!(label(exec(&[])), "the program on ann");
    }
}
