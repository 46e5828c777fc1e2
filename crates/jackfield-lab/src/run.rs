use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jackfield_router::namespace::{Isolated, isolate, mounts, wiring};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::environment;
use super::output::Output;
use super::plan::{Plan, SERVER, SERVER_IP6, SERVER_IPS};
use super::processes::{Crew, Place, Started, code};
use super::spec::{Job, Spec, Words};
use super::state::{Folder, HostState, SiteState, State};
use super::world::{self, World, WorldOptions};

/// How a lab is run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Its name.
    pub name: String,
    /// Whether it must have that very name.
    pub exact_name: bool,
    /// Whether it stays when its programs have ended.
    pub keep: bool,
    /// The program that has the terminal for itself, and with which the lab ends.
    pub command: Option<Job>,
    /// Whether to say what there is.
    pub announce: bool,
    /// Whether what programs print is kept back.
    pub hush: bool,
    /// The folder for a capture file of each router, if there is to be one.
    pub capture: Option<PathBuf>,
    /// What decides random ports and losses; random itself when absent.
    pub seed: Option<u64>,
    /// Where the lab says what people should know.
    pub notices: Notices,
}

/// Where a lab says what people should know, beside the output of its programs; nowhere by default.
#[derive(Debug, Clone, Copy)]
pub struct Notices {
    /// Takes what there is and what has ended.
    pub note: fn(&str),
    /// Takes the error that ends the lab.
    pub complain: fn(&str),
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            note: |_| {},
            complain: |_| {},
        }
    }
}

/// Makes a lab, runs its programs, and takes it away again; returns the worst exit code of those in the foreground.
///
/// # Errors
/// Fails when there can be no lab, or when a part of it fails.
pub fn run(spec: &Spec, plan: &Plan, options: &RunOptions) -> Result<u8> {
    run_with(
        spec,
        plan,
        options,
        None::<fn(&World) -> std::future::Ready<Result<u8>>>,
    )
}

/// The same, with work of our own in the foreground besides.
///
/// # Errors
/// As [`run()`], and when the work fails.
pub fn run_with<W: AsyncFnOnce(&World) -> Result<u8>>(
    spec: &Spec,
    plan: &Plan,
    options: &RunOptions,
    work: Option<W>,
) -> Result<u8> {
    let folder = Folder::claim(&options.name, options.exact_name)?;
    let supervisor = std::process::id();
    match isolate()? {
        Isolated::Outside(outside) => {
            let status = outside.wait().context("the lab cannot be waited for")?;
            folder.remove();
            Ok(code(status))
        }
        Isolated::Inside { pid } => {
            let lab = Lab {
                spec,
                plan,
                options,
                folder: &folder,
                pids: (supervisor, pid),
            };
            let code = lab.run(work).unwrap_or_else(|error| {
                (options.notices.complain)(&format!("{error:#}"));
                1
            });
            std::process::exit(code.into());
        }
    }
}

/// What is known inside.
struct Lab<'a> {
    spec: &'a Spec,
    plan: &'a Plan,
    options: &'a RunOptions,
    folder: &'a Folder,
    pids: (u32, u32),
}

impl Lab<'_> {
    fn run(&self, work: Option<impl AsyncFnOnce(&World) -> Result<u8>>) -> Result<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no event queue")?;
        runtime.block_on(self.live(work))
    }

    async fn live(&self, own: Option<impl AsyncFnOnce(&World) -> Result<u8>>) -> Result<u8> {
        let mut stop = Stop::new(self.options.command.is_some())?;
        let folder = self.folder.path().to_owned();
        place_files(self.plan, &folder)?;
        let options = WorldOptions {
            folder,
            capture: self.options.capture.clone(),
            seed: self.options.seed,
        };
        let (world, mut failures) = World::build(self.plan, &options)?;
        if self.options.announce {
            (self.options.notices.note)(&summary(self.folder.name(), self.plan));
        }
        let crew = Crew::new(
            Output::new(self.names(), self.options.hush),
            self.options.notices.note,
        );
        let finished = Cell::new(None);
        let work = async {
            let started = self.start(&crew, &world).await?;
            self.folder.publish(&self.state(&world))?;
            let stays = self.stays() && own.is_none();
            let own = match own {
                Some(own) => own(&world).await?,
                None => 0,
            };
            finished.set(Some(worst(started).await.max(own)));
            if stays {
                std::future::pending::<()>().await;
            }
            Ok(())
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            error = failures.next() => Err(error),
            outcome = crew.clone().collect() => outcome,
            signal = stop.asked() => {
                if finished.get().is_none() {
                    finished.set(Some(128 + signal));
                }
                Ok(())
            }
        };
        // Their ends have to be noticed while they are waited for.
        tokio::select! {
            () = crew.stop() => {}
            _ = crew.clone().collect() => {}
        }
        outcome.map(|()| finished.get().unwrap_or(1))
    }

    /// Starts the programs; returns those in the foreground.
    async fn start(&self, crew: &Crew, world: &World) -> Result<Vec<Started>> {
        let mut foreground = Vec::new();
        let serve = self.spec.serve.as_ref().map(|flags| self.serve(flags));
        let serve = serve.transpose()?;
        let command = self.options.command.iter();
        for job in serve.iter().chain(&self.spec.jobs).chain(command) {
            let terminal = self
                .options
                .command
                .as_ref()
                .is_some_and(|own| std::ptr::eq(own, job));
            let netns = world.host(&job.host).context("a host is missing")?;
            let variables = environment::variables(self.folder.name(), self.plan, &job.host);
            let place = Place {
                netns,
                variables,
                terminal,
            };
            let mut started = crew.start(job, &place)?;
            started.ready(job).await?;
            if job.background {
                tokio::spawn(crew.clone().mourn(started));
            } else {
                foreground.push(started);
            }
        }
        Ok(foreground)
    }

    /// What runs our own server, reachable by everybody and relaying to everybody in the lab.
    fn serve(&self, flags: &[String]) -> Result<Job> {
        let program = std::env::current_exe().context("this program does not find itself")?;
        let data = self.folder.path().join("serve");
        let [server, second] = SERVER_IPS;
        let mut words = vec![program.display().to_string(), "serve".to_owned()];
        let mut flag = |name: &str, value: String| words.extend([name.to_owned(), value]);
        flag("--listen", format!("{server}:3478"));
        // With a second address hosts can find out what NAT they are behind (RFC 5780).
        flag("--nat-discovery", second.to_string());
        flag("--listen-tls", format!("{server}:443"));
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
            ..Job::new(SERVER, Words::Exact(words))
        })
    }

    fn stays(&self) -> bool {
        let foreground = self.spec.jobs.iter().any(|job| !job.background);
        self.options.keep || (!foreground && self.options.command.is_none())
    }

    fn names(&self) -> Vec<String> {
        let hosts = self.plan.hosts.iter().map(|host| host.name.clone());
        std::iter::once(SERVER.to_owned()).chain(hosts).collect()
    }

    fn state(&self, world: &World) -> State {
        let sites = self.plan.sites.iter().map(|site| {
            let behind = site.parent.and_then(|place| self.plan.sites.get(place));
            let state = SiteState {
                router: site.about(),
                external: strings(&site.settings.externals),
                behind: behind.map(|site| site.name.clone()),
                control: world::control(self.folder.path(), &site.name),
            };
            (site.name.clone(), state)
        });
        let hosts = self.names().into_iter().filter_map(|name| {
            let netns = wiring::descriptor(world.host(&name)?)?;
            let state = self.host_state(&name, netns);
            Some((name, state))
        });
        State {
            name: self.folder.name().to_owned(),
            supervisor: self.pids.0,
            inside: self.pids.1,
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

/// Waits for programs to end; returns the worst of their exit codes.
async fn worst(programs: Vec<Started>) -> u8 {
    let mut worst = 0;
    for program in programs {
        worst = worst.max(program.ended.await.unwrap_or(1));
    }
    worst
}

/// Gives the lab files of its own for the names of its hosts.
fn place_files(plan: &Plan, folder: &Path) -> Result<()> {
    let switch = Path::new("/etc/nsswitch.conf");
    let current = fs::read_to_string(switch).unwrap_or_default();
    let files = [
        ("hosts", environment::hosts_file(plan)),
        ("resolv.conf", environment::resolver_file()),
        ("nsswitch.conf", environment::switch_file(&current)),
    ];
    for (name, text) in files {
        let own = folder.join(name);
        fs::write(&own, text).with_context(|| format!("{} cannot be written", own.display()))?;
        // What is a link may lead to a folder that is not there; a mount needs the file itself.
        let Ok(target) = fs::canonicalize(Path::new("/etc").join(name)) else {
            tracing::debug!(name, "There is no such file to stand in for");
            continue;
        };
        mounts::replace(&target, &own)
            .with_context(|| format!("{} cannot be replaced", target.display()))?;
    }
    Ok(())
}

/// Says what there is, for people.
pub(super) fn summary(name: &str, plan: &Plan) -> String {
    let [server, second] = SERVER_IPS;
    let mut lines = vec![format!("lab {name}: server {server}, {second}")];
    for (place, site) in plan.sites.iter().enumerate() {
        let mut line = format!("  {}: {}", site.name, site.about());
        if !site.settings.externals.is_empty() {
            line += &format!(" at {}", strings(&site.settings.externals).join(", "));
        }
        if let Some(parent) = site.parent.and_then(|place| plan.sites.get(place)) {
            line += &format!(", behind {}", parent.name);
        }
        let hosts = plan.hosts_of(place);
        let hosts: Vec<String> = hosts
            .map(|host| format!("{} {}", host.name, host.ip))
            .collect();
        if !hosts.is_empty() {
            line += &format!("; {}", hosts.join(", "));
        }
        lines.push(line);
    }
    lines.join("\n")
}

fn strings<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// The signals that end a lab.
#[derive(Debug)]
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// Whether Ctrl-C is for the program that has the terminal.
    deaf: bool,
}

impl Stop {
    fn new(deaf: bool) -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            deaf,
        })
    }

    /// Waits until the lab is told to end; returns the signal's number.
    async fn asked(&mut self) -> u8 {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => if !self.deaf { return 2 },
                _ = self.terminate.recv() => return 15,
            }
        }
    }
}
