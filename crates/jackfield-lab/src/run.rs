//! Builds a lab, runs its programs, and takes it away again.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jackfield_router::namespace::{Isolated, IsolationError, isolate, mounts, wiring};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::environment;
use super::event::{Event, Observer};
use super::plan::{Plan, SERVER, SERVER_IP6, SERVER_IPS};
use super::processes::{JobContext, ProcessError, Processes, Program, exit_code};
use super::spec::{CommandLine, Job, Spec};
use super::state::{Folder, HostState, Registry, RegistryError, SiteState, State};
use super::world::{self, World, WorldError, WorldOptions};

/// How a lab is run; what it consists of is in the [`Spec`].
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// The name that other processes find it by: letters, digits, hyphens and underscores.
    pub name: String,
    /// Whether a running lab of that name is an error; a number is added to the name otherwise.
    pub exact_name: bool,
    /// Whether the lab stays when its programs have ended, until a signal ends it.
    pub keep: bool,
    /// The program that has the terminal for itself. The lab ends with it.
    pub command: Option<Job>,
    /// The folder for a capture file of each router; `None` captures nothing.
    pub capture: Option<PathBuf>,
    /// The seed of random ports and losses; `None` takes one from the system.
    pub seed: Option<u64>,
    /// The `jackfield` binary that runs [`Spec::serve`]; `None` is the executable of this process.
    pub serve_program: Option<PathBuf>,
    /// Receives what happens in the lab.
    pub observer: Observer,
}

impl Default for LabOptions {
    /// Returns the options of a lab called `lab` that ends with its programs and reports nothing.
    fn default() -> Self {
        Self {
            name: "lab".to_owned(),
            exact_name: false,
            keep: false,
            command: None,
            capture: None,
            seed: None,
            serve_program: None,
            observer: Observer::default(),
        }
    }
}

/// Why a lab did not run, or ended. Its text names the cause, too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The lab has no folder.
    #[error("{0}")]
    Registry(#[from] RegistryError),
    /// This machine makes no namespaces for this user.
    #[error("{0}")]
    Isolation(#[from] IsolationError),
    /// The process inside cannot be waited for.
    #[error("the lab cannot be waited for: {0}")]
    Wait(io::Error),
    /// The system gives no event queue.
    #[error("no event queue: {0}")]
    EventQueue(io::Error),
    /// SIGINT or SIGTERM cannot be waited for.
    #[error("{0}")]
    Signals(io::Error),
    /// The networks or routers cannot be made, or a router failed.
    #[error("{0}")]
    World(#[from] WorldError),
    /// A program cannot be started, or was not ready in time.
    #[error("{0}")]
    Process(#[from] ProcessError),
    /// A program is to run on a host that the plan does not have.
    #[error("a host is missing")]
    NoHost,
    /// The path of this executable is unknown, which runs the lab's server.
    #[error("the path of this program is unknown: {0}")]
    Executable(io::Error),
    /// A file of the lab cannot be written.
    #[error("{} cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file of the lab cannot be mounted over the system's.
    #[error("{} cannot be replaced: {error}", path.display())]
    Mount {
        /// The system's file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The work that [`run_with`] was given failed.
    #[error("{0:#}")]
    Work(WorkError),
}

/// An error of the work that [`run_with`] is given.
pub type WorkError = Box<dyn std::error::Error + Send + Sync>;

/// Builds a lab, runs its programs, and takes it away again. Returns the highest exit code of the
/// programs in the foreground, or 128 and the number of the signal that ended the lab.
///
/// The process has to have a single thread, since it is forked. The copy becomes the first process
/// inside the lab and never returns from here: it ends with the lab.
///
/// # Errors
/// Fails when namespaces cannot be made ([`LabError::Isolation`]) and when another lab has that
/// very name ([`LabError::Registry`]). Later failures are reported as [`Event::Failed`] and give
/// exit code 1.
pub fn run(spec: &Spec, plan: &Plan, options: &LabOptions) -> Result<u8, LabError> {
    let none = None::<fn(&World) -> std::future::Ready<Result<u8, WorkError>>>;
    run_isolated(spec, plan, options, none)
}

/// Does the same as [`run()`], with `work` in the foreground besides the programs.
///
/// The work runs inside the lab. It is not in the network of any host, but finds them in the
/// [`World`]; its result counts as an exit code.
///
/// # Errors
/// As [`run()`]. An error of the work is an [`Event::Failed`].
pub fn run_with<W, E>(
    spec: &Spec,
    plan: &Plan,
    options: &LabOptions,
    work: W,
) -> Result<u8, LabError>
where
    W: AsyncFnOnce(&World) -> Result<u8, E>,
    E: Into<WorkError>,
{
    run_isolated(spec, plan, options, Some(work))
}

fn run_isolated<E: Into<WorkError>>(
    spec: &Spec,
    plan: &Plan,
    options: &LabOptions,
    work: Option<impl AsyncFnOnce(&World) -> Result<u8, E>>,
) -> Result<u8, LabError> {
    let folder = Registry::of_user()?.claim(&options.name, options.exact_name)?;
    // The number is asked for before the fork: inside, this process is number 1.
    let supervisor = std::process::id();
    match isolate()? {
        Isolated::Outside(outside) => {
            let status = outside.wait().map_err(LabError::Wait)?;
            // Outside, since the process inside may have been killed.
            folder.remove();
            Ok(exit_code(status))
        }
        Isolated::Inside { pid } => {
            let lab = Lab {
                spec,
                plan,
                options,
                folder: &folder,
                supervisor,
                inside: pid,
            };
            let code = lab.run(work).unwrap_or_else(|error| {
                options.observer.report(&Event::Failed(&error));
                1
            });
            // This is the copy that fork made. Returning would run the rest of the caller a second
            // time, and the code has to reach the process outside.
            std::process::exit(code.into());
        }
    }
}

/// A lab, seen from its first process.
struct Lab<'a> {
    spec: &'a Spec,
    plan: &'a Plan,
    options: &'a LabOptions,
    folder: &'a Folder,
    /// The process outside; a signal to it ends the lab.
    supervisor: u32,
    /// The process id of the first process inside, as seen from outside.
    inside: u32,
}

impl Lab<'_> {
    fn run<E: Into<WorkError>>(
        &self,
        work: Option<impl AsyncFnOnce(&World) -> Result<u8, E>>,
    ) -> Result<u8, LabError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(LabError::EventQueue)?;
        runtime.block_on(self.live(work))
    }

    async fn live<E: Into<WorkError>>(
        &self,
        own: Option<impl AsyncFnOnce(&World) -> Result<u8, E>>,
    ) -> Result<u8, LabError> {
        // Signals come first. The kernel drops one for which the first process of a PID namespace
        // has no handler yet (pid_namespaces(7)).
        let stop = StopSignals::new(self.options.command.is_some());
        let mut stop = stop.map_err(LabError::Signals)?;
        let folder = self.folder.path().to_owned();
        place_files(self.plan, &folder)?;
        let options = WorldOptions {
            folder,
            capture: self.options.capture.clone(),
            seed: self.options.seed,
        };
        let (world, mut failures) = World::build(self.plan, &options)?;
        let observer = &self.options.observer;
        observer.report(&Event::Built {
            name: self.folder.name(),
            plan: self.plan,
        });
        let processes = Processes::new(observer.clone());
        let finished = Cell::new(None);
        let work = async {
            let foreground = self.start(&processes, &world).await?;
            self.folder.publish(&self.state(&world))?;
            let stays = self.stays() && own.is_none();
            let own = match own {
                Some(own) => {
                    let code = own(&world).await;
                    code.map_err(|error| LabError::Work(error.into()))?
                }
                None => 0,
            };
            finished.set(Some(highest_code(foreground).await.max(own)));
            // A lab without programs in the foreground is there to be used from elsewhere.
            if stays {
                std::future::pending::<()>().await;
            }
            Ok(())
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            error = failures.next() => Err(error.into()),
            outcome = processes.clone().reap() => outcome.map_err(LabError::from),
            signal = stop.next() => {
                // Programs that have ended before the signal decide the exit code.
                if finished.get().is_none() {
                    finished.set(Some(128 + signal));
                }
                Ok(())
            }
        };
        // `stop` waits for ends that only `reap` notices.
        tokio::select! {
            () = processes.stop() => {}
            _ = processes.clone().reap() => {}
        }
        outcome.map(|()| finished.get().unwrap_or(1))
    }

    /// Starts the programs; returns those in the foreground.
    async fn start(&self, processes: &Processes, world: &World) -> Result<Vec<Program>, LabError> {
        let mut foreground = Vec::new();
        let serve = self.spec.serve.as_ref().map(|flags| self.serve(flags));
        let serve = serve.transpose()?;
        let jobs = serve.iter().chain(&self.spec.jobs);
        for job in jobs.chain(&self.options.command) {
            let command = self.options.command.as_ref();
            // Another job may have the same words, so the command is recognized by its address.
            let has_terminal = command.is_some_and(|command| std::ptr::eq(command, job));
            let netns = world.host(&job.host).ok_or(LabError::NoHost)?;
            let variables = environment::variables(self.folder.name(), self.plan, &job.host);
            let context = JobContext {
                netns,
                variables,
                has_terminal,
            };
            let mut started = processes.start(job, &context)?;
            // Programs start one after the other: a client that finds no server yet would fail.
            started.ready(job).await?;
            if job.background {
                tokio::spawn(processes.clone().report_end(started));
            } else {
                foreground.push(started);
            }
        }
        Ok(foreground)
    }

    /// Returns the program of our own server, which relays to every host of the lab.
    fn serve(&self, flags: &[String]) -> Result<Job, LabError> {
        let program = match &self.options.serve_program {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(LabError::Executable)?,
        };
        let data = self.folder.path().join("serve");
        let [server, second] = SERVER_IPS;
        let mut words = vec![program.display().to_string(), "serve".to_owned()];
        let mut flag = |name: &str, value: String| words.extend([name.to_owned(), value]);
        flag("--listen", format!("{server}:3478"));
        // Behaviour discovery needs a second address of the server (RFC 5780 §7.4).
        flag("--nat-discovery", second.to_string());
        // 443 is the one port for TLS that the firewall `only-https` lets out.
        flag("--listen-tls", format!("{server}:443"));
        // The plan's addresses are those of benchmarks and documentation (RFC 2544, RFC 3849),
        // which a relay refuses unless they are allowed.
        flag("--allow-peer", "198.18.0.0/15".to_owned());
        if self.plan.ipv6 {
            flag("--listen", format!("[{SERVER_IP6}]:3478"));
            flag("--listen-tls", format!("[{SERVER_IP6}]:443"));
            flag("--allow-peer", "2001:db8::/32".to_owned());
        }
        flag("--data-dir", data.display().to_string());
        words.push("--tls-self-signed".to_owned());
        words.extend(flags.iter().cloned());
        Ok(Job {
            background: true,
            ready: Some(format!("http://{server}:3478/")),
            ..Job::new(SERVER, CommandLine::Exec(words))
        })
    }

    fn stays(&self) -> bool {
        let foreground = self.spec.jobs.iter().any(|job| !job.background);
        self.options.keep || (!foreground && self.options.command.is_none())
    }

    fn state(&self, world: &World) -> State {
        let sites = self.plan.sites.iter().map(|site| {
            let behind = site.parent.and_then(|parent| self.plan.sites.get(parent));
            let state = SiteState {
                router: site.about(),
                external: strings(&site.settings.externals),
                behind: behind.map(|site| site.name.clone()),
                control: world::control(self.folder.path(), &site.name),
            };
            (site.name.clone(), state)
        });
        let hosts = self.plan.host_names().into_iter().filter_map(|name| {
            let netns = wiring::descriptor(world.host(&name)?)?;
            let state = self.host_state(&name, netns);
            Some((name, state))
        });
        State {
            name: self.folder.name().to_owned(),
            supervisor: self.supervisor,
            inside: self.inside,
            sites: sites.collect(),
            hosts: hosts.collect(),
        }
    }

    fn host_state(&self, name: &str, netns: i32) -> HostState {
        let planned = self.plan.hosts.iter().find(|host| host.name == name);
        let site = planned.and_then(|host| self.plan.sites.get(host.site));
        let addresses = match planned {
            None => strings(&SERVER_IPS),
            Some(host) => {
                let mut addresses = vec![host.ip.to_string()];
                addresses.extend(host.ip6.map(|ip| ip.to_string()));
                addresses
            }
        };
        HostState {
            site: site.map(|site| site.name.clone()),
            addresses,
            netns,
            variables: environment::variables(self.folder.name(), self.plan, name),
        }
    }
}

/// Waits for programs to end; returns the highest of their exit codes.
async fn highest_code(programs: Vec<Program>) -> u8 {
    let mut highest = 0;
    for program in programs {
        highest = highest.max(program.ended.await.unwrap_or(1));
    }
    highest
}

/// Mounts files of the lab over those in `/etc` that say how names resolve.
fn place_files(plan: &Plan, folder: &Path) -> Result<(), LabError> {
    let switch = Path::new("/etc/nsswitch.conf");
    let current = fs::read_to_string(switch).unwrap_or_default();
    let files = [
        ("hosts", environment::hosts_file(plan)),
        ("resolv.conf", environment::resolver_file()),
        ("nsswitch.conf", environment::switch_file(&current)),
    ];
    for (name, text) in files {
        let own = folder.join(name);
        if let Err(error) = fs::write(&own, text) {
            return Err(LabError::Write { path: own, error });
        }
        // `resolv.conf` often is a link; a mount needs the file that it leads to, which may be
        // missing.
        let Ok(target) = fs::canonicalize(Path::new("/etc").join(name)) else {
            tracing::debug!(name, "No such file to replace");
            continue;
        };
        if let Err(error) = mounts::replace(&target, &own) {
            let path = target;
            return Err(LabError::Mount { path, error });
        }
    }
    Ok(())
}

fn strings<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// The signals that end a lab.
#[derive(Debug)]
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    /// Whether Ctrl-C is left to the program that has the terminal, which decides what it means.
    ignore_interrupt: bool,
}

impl StopSignals {
    fn new(ignore_interrupt: bool) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            ignore_interrupt,
        })
    }

    /// Waits until a signal ends the lab; returns its number.
    async fn next(&mut self) -> u8 {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => if !self.ignore_interrupt { return SIGINT },
                _ = self.terminate.recv() => return SIGTERM,
            }
        }
    }
}

const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;
