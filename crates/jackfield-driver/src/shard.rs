//! One thread per CPU core, each with its own runtime, listeners and state.
//!
//! ```
//! use jackfield_driver::shard::{Shards, ShardsConfig};
//!
//! let config = ShardsConfig { count: 2, ..ShardsConfig::default() };
//! let (shards, built) = Shards::start(&config, |context| async move {
//!     let mut shutdown = context.shutdown();
//!     context.spawn("listener", async move { shutdown.requested().await });
//!     Ok::<_, std::io::Error>(context.index())
//! })
//! .unwrap();
//! assert_eq!(built, [0, 1]);
//! shards.stop();
//! shards.join();
//! ```

mod affinity;
mod context;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle, available_parallelism};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

pub use context::{ShardContext, Shutdown};

use crate::stats::counters;

counters! {
    /// What a shard counts.
    pub struct ShardStats {
        /// Tasks running at present.
        tasks: Gauge,
        /// Tasks that ended in a panic.
        panics: Counter,
        /// Tasks that did not end within the grace of a stop.
        abandoned: Counter,
    }
}

/// How many shards there are and how they run.
#[derive(Debug, Clone)]
pub struct ShardsConfig {
    /// How many shards to start; 0 stands for one per CPU that this process may use.
    pub count: usize,
    /// Whether each shard's thread stays on one CPU. Threads are not pinned when there are more
    /// shards than CPUs.
    pub pin: bool,
    /// How long a stop waits for tasks to end on their own.
    pub grace: Duration,
}

impl Default for ShardsConfig {
    fn default() -> Self {
        Self {
            count: 0,
            pin: true,
            grace: Duration::from_secs(5),
        }
    }
}

/// The reason why shards did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError<E> {
    /// The operating system gave no thread or no event queue.
    #[error("shard {shard} got no thread or event queue: {source}")]
    Thread {
        /// Which shard.
        shard: usize,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The code that builds a shard returned an error.
    #[error("shard {shard} did not start: {error}")]
    Build {
        /// Which shard.
        shard: usize,
        /// Its error, of any type: it need not implement [`std::error::Error`].
        error: E,
    },
    /// The code that builds a shard panicked.
    #[error("shard {shard} panicked while it started")]
    Panicked {
        /// Which shard.
        shard: usize,
    },
}

/// The running shards.
#[derive(Debug)]
pub struct Shards {
    threads: Vec<JoinHandle<()>>,
    handles: Vec<ShardHandle>,
    stop: watch::Sender<bool>,
}

impl Shards {
    /// Starts the shards one after another; each runs `build` on its own thread.
    ///
    /// `build` binds what the shard listens on and spawns its tasks by [`ShardContext::spawn`];
    /// what it returns is handed back, in order. The call blocks until each shard is built.
    ///
    /// # Errors
    /// The first shard that cannot start stops those before it, and its error is returned.
    pub fn start<B, F, T, E>(
        config: &ShardsConfig,
        build: B,
    ) -> Result<(Self, Vec<T>), StartError<E>>
    where
        B: Fn(ShardContext) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let count = shard_count(config.count);
        let cpus = if config.pin {
            affinity::allowed_cpus()
        } else {
            Vec::new()
        };
        let (stop, shutdown) = Shutdown::channel();
        let build = Arc::new(build);
        let mut shards = Self {
            threads: Vec::new(),
            handles: Vec::new(),
            stop,
        };
        let mut built = Vec::new();
        for index in 0..count {
            let cpu = cpus.get(index).copied().filter(|_| count <= cpus.len());
            let plan = Plan {
                index,
                count,
                cpu,
                grace: config.grace,
                shutdown: shutdown.clone(),
            };
            match plan.start(Arc::clone(&build)) {
                Ok((thread, handle, value)) => {
                    shards.threads.push(thread);
                    shards.handles.push(handle);
                    built.push(value);
                }
                Err(error) => {
                    shards.stop();
                    shards.join();
                    return Err(error);
                }
            }
        }
        Ok((shards, built))
    }

    /// Asks every shard to end; returns at once.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until every shard's thread has ended.
    pub fn join(self) {
        for (thread, handle) in self.threads.into_iter().zip(&self.handles) {
            if thread.join().is_err() {
                tracing::error!(shard = handle.index, "A shard's thread panicked");
            }
        }
    }

    /// Returns a handle of each shard, in order.
    #[must_use]
    pub fn handles(&self) -> &[ShardHandle] {
        &self.handles
    }
}

/// A way to reach a shard from any thread.
#[derive(Debug, Clone)]
pub struct ShardHandle {
    index: usize,
    stats: Arc<ShardStats>,
    jobs: mpsc::UnboundedSender<Job>,
}

impl ShardHandle {
    /// Returns the shard's number.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the shard's counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<ShardStats> {
        &self.stats
    }

    /// Runs `job` on the shard's thread; returns whether the shard still takes work.
    ///
    /// The future that `job` returns stays on the shard, so it may hold what cannot be sent.
    pub fn run<J, F>(&self, name: &'static str, job: J) -> bool
    where
        J: FnOnce(ShardContext) -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let start: Start = Box::new(move |context| Box::pin(job(context)));
        self.jobs.send(Job { name, start }).is_ok()
    }
}

type Start = Box<dyn FnOnce(ShardContext) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Work for a shard, from another thread.
struct Job {
    name: &'static str,
    start: Start,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Job").field(&self.name).finish()
    }
}

/// What a shard needs to know before it has a thread.
struct Plan {
    index: usize,
    count: usize,
    cpu: Option<usize>,
    grace: Duration,
    shutdown: Shutdown,
}

impl Plan {
    fn start<B, F, T, E>(
        self,
        build: Arc<B>,
    ) -> Result<(JoinHandle<()>, ShardHandle, T), StartError<E>>
    where
        B: Fn(ShardContext) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let shard = self.index;
        let stats = Arc::new(ShardStats::default());
        let (jobs, inbox) = mpsc::unbounded_channel();
        let handle = ShardHandle {
            index: shard,
            stats: Arc::clone(&stats),
            jobs,
        };
        let (report, built) = std::sync::mpsc::sync_channel(1);
        let thread = Builder::new()
            .name(format!("shard-{shard}"))
            .spawn(move || {
                let ran = catch_unwind(AssertUnwindSafe(|| {
                    self.run(&*build, stats, inbox, &report);
                }));
                if ran.is_err() {
                    tracing::error!(shard, "A shard panicked");
                }
            })
            .map_err(|source| StartError::Thread { shard, source })?;
        match built.recv() {
            Ok(Ok(value)) => Ok((thread, handle, value)),
            Ok(Err(error)) => Err(error),
            // The thread ended without a report, which only a panic does.
            Err(_) => Err(StartError::Panicked { shard }),
        }
    }

    fn run<B, F, T, E>(
        self,
        build: &B,
        stats: Arc<ShardStats>,
        inbox: mpsc::UnboundedReceiver<Job>,
        report: &std::sync::mpsc::SyncSender<Result<T, StartError<E>>>,
    ) where
        B: Fn(ShardContext) -> F,
        F: Future<Output = Result<T, E>>,
    {
        let shard = self.index;
        if let Some(cpu) = self.cpu
            && let Err(error) = affinity::pin_to(cpu)
        {
            tracing::debug!(shard, cpu, %error, "The thread stays unpinned");
        }
        let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(source) => {
                let _caller_gone = report.send(Err(StartError::Thread { shard, source }));
                return;
            }
        };
        let context = ShardContext::new(shard, self.count, self.shutdown, stats);
        LocalSet::new().block_on(&runtime, async {
            match build(context.clone()).await {
                Ok(value) => {
                    let _caller_gone = report.send(Ok(value));
                    serve(context, inbox, self.grace).await;
                }
                Err(error) => {
                    let _caller_gone = report.send(Err(StartError::Build { shard, error }));
                }
            }
        });
    }
}

/// Takes jobs until the stop, then waits for the tasks to end.
async fn serve(context: ShardContext, mut inbox: mpsc::UnboundedReceiver<Job>, grace: Duration) {
    let mut shutdown = context.shutdown();
    loop {
        tokio::select! {
            () = shutdown.requested() => break,
            job = inbox.recv() => match job {
                Some(job) => drop(context.spawn(job.name, (job.start)(context.clone()))),
                None => shutdown.requested().await,
            },
        }
    }
    inbox.close();
    if tokio::time::timeout(grace, context.idle()).await.is_err() {
        let abandoned = context.stats().tasks.value();
        context.stats().abandoned.add(abandoned);
        tracing::info!(
            shard = context.index(),
            abandoned,
            "Stopped before every task had ended"
        );
    }
}

/// Returns `count`, or one per CPU that this process may use.
fn shard_count(count: usize) -> usize {
    match count {
        0 => available_parallelism().map_or(1, usize::from),
        count => count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use tokio::sync::oneshot;

    #[test]
    fn each_shard_is_built_on_its_own_named_thread() {
        let (shards, built) = Shards::start(&config(3), |context| async move {
            let name = std::thread::current().name().map(str::to_owned);
            Ok::<_, io::Error>((context.index(), context.count(), name))
        })
        .unwrap();
        let expected: Vec<_> = (0..3).map(|i| (i, 3, Some(format!("shard-{i}")))).collect();
        assert_eq!(built, expected);
        shards.stop();
        shards.join();
    }

    #[test]
    fn a_shard_that_cannot_start_is_reported_and_the_others_stop() {
        let (gone, left) = std::sync::mpsc::channel::<()>();
        let error = Shards::start(&config(3), move |context| {
            let held = gone.clone();
            async move {
                if context.index() == 2 {
                    return Err(io::Error::from(io::ErrorKind::AddrInUse));
                }
                let mut shutdown = context.shutdown();
                context.spawn("holder", async move {
                    shutdown.requested().await;
                    drop(held);
                });
                Ok(())
            }
        })
        .unwrap_err();
        assert!(
            matches!(error, StartError::Build { shard: 2, .. }),
            "{error}"
        );
        // Every holder has ended, and with it every sender.
        assert!(left.recv().is_err());
    }

    #[test]
    fn a_panic_while_building_is_an_error_of_the_start() {
        let error = Shards::start(&config(1), |_| async {
            assert!(std::env::args().count() == 0, "a program always has a name");
            Ok::<(), io::Error>(())
        })
        .unwrap_err();
        assert!(matches!(error, StartError::Panicked { shard: 0 }));
    }

    #[test]
    fn a_panicking_task_is_counted_and_its_shard_goes_on() {
        let (shards, _) = Shards::start(&config(1), |_| async { Ok::<(), io::Error>(()) }).unwrap();
        let shard = shards.handles().first().unwrap().clone();
        let (done, ended) = oneshot::channel();
        assert!(shard.run("broken", |_| async { panic!("on purpose") }));
        assert!(shard.run("sound", |_| async {
            done.send(()).unwrap();
        }));
        ended.blocking_recv().unwrap();
        assert_eq!(shard.stats().panics.value(), 1);
        shards.stop();
        shards.join();
        assert_eq!(shard.stats().tasks.value(), 0);
        assert!(!shard.run("late", |_| async {}));
    }

    #[test]
    fn a_task_that_outstays_the_grace_is_dropped_and_counted() {
        let config = ShardsConfig {
            grace: Duration::ZERO,
            ..config(1)
        };
        let (shards, _) = Shards::start(&config, |context| async move {
            context.spawn("stubborn", std::future::pending());
            Ok::<(), io::Error>(())
        })
        .unwrap();
        let stats = Arc::clone(shards.handles().first().unwrap().stats());
        shards.stop();
        shards.join();
        assert_eq!(stats.abandoned.value(), 1);
        assert_eq!(stats.tasks.value(), 0);
    }

    fn config(count: usize) -> ShardsConfig {
        ShardsConfig {
            count,
            ..ShardsConfig::default()
        }
    }
}
