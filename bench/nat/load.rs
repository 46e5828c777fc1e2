//! Sends through a NAT from one network namespace to another, and says as one line of JSON how much
//! arrived and what that cost.
//!
//! ```text
//! nat_load udp|tcp --from NETNS --to NETNS --address IP:PORT [--flows 1] [--size 160] [--seconds 2] [--window 400]
//! ```
//!
//! UDP: never more than `--window` packets are under way, so that nothing is lost to full queues,
//! and nobody spends time on packets that do not arrive; the flows take turns. TCP: one connection
//! each flow, written as fast as it takes bytes.

#![expect(clippy::print_stdout, reason = "a program of the terminal")]
#![expect(unsafe_code, reason = "a socket's buffer is forced by an option")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use jackfield_router::Netns;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let args = Args::parse().ok_or("see the head of bench/nat/load.rs")?;
    let progress = Arc::new(Progress::default());
    let receiver = {
        let (args, progress) = (args.clone(), Arc::clone(&progress));
        thread::spawn(move || -> Result<(), Failure> {
            args.to.run(|| match args.tcp {
                true => receive_tcp(&args, &progress),
                false => receive_udp(&args, &progress),
            })?
        })
    };
    while !progress.listening.load(Ordering::Acquire) {
        if receiver.is_finished() {
            return receiver.join().map_err(|_| "the receiver panicked")?;
        }
        thread::yield_now();
    }
    let sender = {
        let (args, progress) = (args.clone(), Arc::clone(&progress));
        thread::spawn(move || -> Result<(), Failure> {
            args.from.run(|| match args.tcp {
                true => send_tcp(&args, &progress),
                false => send_udp(&args, &progress),
            })?
        })
    };
    // Mappings are made and connections are open by then.
    thread::sleep(WARM_UP);
    let (start, cpu, units) = (Instant::now(), cpu_ns()?, progress.received());
    println!("{{\"event\":\"start\"}}");
    thread::sleep(args.time);
    let (cpu, units) = (cpu_ns()? - cpu, progress.received() - units);
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{{\"event\":\"end\",\"received\":{units},\"seconds\":{seconds:.3},\"cpu_ns\":{cpu},\"lost\":{}}}",
        progress.lost.load(Ordering::Relaxed)
    );
    progress.done.store(true, Ordering::Release);
    if sender.is_finished() {
        sender.join().map_err(|_| "the sender panicked")??;
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Progress {
    listening: AtomicBool,
    done: AtomicBool,
    /// Packets of UDP, bytes of TCP.
    received: AtomicU64,
    lost: AtomicU64,
    /// Whether the sender sleeps until half of the window is free.
    waiting: AtomicBool,
    wake_at: AtomicU64,
    sender: OnceLock<Thread>,
}

impl Progress {
    fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }
}

fn receive_udp(args: &Args, progress: &Progress) -> Result<(), Failure> {
    let socket = UdpSocket::bind(args.address)?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    // So that the whole window fits, however much memory a packet takes.
    force_buffer(&socket, 8 << 20)?;
    progress.listening.store(true, Ordering::Release);
    let mut room = [0; 2_048];
    while !progress.is_done() {
        if socket.recv(&mut room).is_err() {
            continue;
        }
        let received = progress.received.fetch_add(1, Ordering::SeqCst) + 1;
        if received >= progress.wake_at.load(Ordering::SeqCst)
            && progress.waiting.swap(false, Ordering::SeqCst)
            && let Some(sender) = progress.sender.get()
        {
            sender.unpark();
        }
    }
    Ok(())
}

fn send_udp(args: &Args, progress: &Progress) -> Result<(), Failure> {
    let _first = progress.sender.set(thread::current());
    let wildcard: SocketAddr = match args.address {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let mut sockets = Vec::new();
    for _ in 0..args.flows {
        let socket = UdpSocket::bind(wildcard)?;
        socket.connect(args.address)?;
        sockets.push(socket);
    }
    let payload = vec![7; args.size];
    let mut sent = 0;
    let mut turns = sockets.iter().cycle();
    while !progress.is_done() {
        if sent < progress.received() + args.window {
            if let Some(socket) = turns.next() {
                socket.send(&payload)?;
            }
            sent += 1;
            continue;
        }
        let wake_at = sent.saturating_sub(args.window / 2);
        progress.wake_at.store(wake_at, Ordering::SeqCst);
        progress.waiting.store(true, Ordering::SeqCst);
        // What arrived in between wakes nobody.
        if progress.received() < wake_at {
            thread::park_timeout(PATIENCE);
        }
        let received = progress.received();
        if received < wake_at && !progress.is_done() {
            progress.lost.fetch_add(sent - received, Ordering::Relaxed);
            sent = received;
        }
    }
    Ok(())
}

fn receive_tcp(args: &Args, progress: &Arc<Progress>) -> Result<(), Failure> {
    let listener = TcpListener::bind(args.address)?;
    progress.listening.store(true, Ordering::Release);
    for stream in listener.incoming().take(args.flows) {
        let (mut stream, progress) = (stream?, Arc::clone(progress));
        thread::spawn(move || {
            let mut room = vec![0; 256 * 1_024];
            while let Ok(read @ 1..) = stream.read(&mut room) {
                progress.received.fetch_add(read as u64, Ordering::AcqRel);
            }
        });
    }
    while !progress.is_done() {
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn send_tcp(args: &Args, progress: &Progress) -> Result<(), Failure> {
    let streams: Result<Vec<_>, _> = (0..args.flows)
        .map(|_| TcpStream::connect(args.address))
        .collect();
    thread::scope(|scope| {
        for mut stream in streams? {
            scope.spawn(move || {
                let data = vec![7; 256 * 1_024];
                while !progress.is_done() && stream.write_all(&data).is_ok() {}
            });
        }
        Ok(())
    })
}

/// Gives a socket room beyond what the system lets everybody have.
fn force_buffer(socket: &UdpSocket, bytes: libc::c_int) -> Result<(), Failure> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    let value = (&raw const bytes).cast();
    let (level, option) = (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE);
    // SAFETY: the value is a `c_int` that outlives the call, as its length says.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, length) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

/// Returns what all threads of this process have used so far.
fn cpu_ns() -> Result<u64, Failure> {
    let mut sum = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(sum)
}

/// How long nothing may arrive before what is under way counts as lost.
const PATIENCE: Duration = Duration::from_millis(250);

const WARM_UP: Duration = Duration::from_millis(400);

#[derive(Debug, Clone)]
struct Args {
    tcp: bool,
    from: Netns,
    to: Netns,
    address: SocketAddr,
    flows: usize,
    size: usize,
    time: Duration,
    window: u64,
}

impl Args {
    fn parse() -> Option<Self> {
        let mut words = std::env::args().skip(1);
        let tcp = match words.next()?.as_str() {
            "udp" => false,
            "tcp" => true,
            _ => return None,
        };
        let (mut from, mut to, mut address) = (None, None, None);
        let (mut flows, mut size, mut seconds, mut window) = (1, 160, 2.0, 400);
        while let Some(name) = words.next() {
            let value = words.next()?;
            match name.as_str() {
                "--from" => from = Some(Netns::Named(value)),
                "--to" => to = Some(Netns::Named(value)),
                "--address" => address = Some(value.parse().ok()?),
                "--flows" => flows = value.parse().ok()?,
                "--size" => size = value.parse().ok()?,
                "--seconds" => seconds = value.parse().ok()?,
                "--window" => window = value.parse().ok()?,
                _ => return None,
            }
        }
        Some(Self {
            tcp,
            from: from?,
            to: to?,
            address: address?,
            flows,
            size,
            time: Duration::try_from_secs_f64(seconds).ok()?,
            window,
        })
    }
}
