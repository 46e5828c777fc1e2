//! The control socket of a router: lines of JSON, one for each request and answer.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jackfield_router::{Handle, Stopped};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore};

use super::{Change, RouterError, Settings, View};

/// A request to a router: one line of JSON over its control socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Asks for a [`View`], which comes as [`Answer::Report`].
    List,
    /// Has the router forget every mapping.
    Reboot,
    /// Changes settings. A change of the NAT's behaviour forgets every mapping, too; a change of
    /// the link does not.
    Set(Box<Change>),
}

/// An answer of a router: one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The state of the router.
    Report(Box<View>),
    /// The router did as asked.
    Done,
    /// The router refused, for this reason.
    Error(String),
}

/// Returns the default path of the control socket, for the router and for those who ask it.
pub fn default_path() -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| "/run".into(), PathBuf::from);
    folder.join("jackfield-nat.sock")
}

/// The control socket of a router. Its file is removed with it.
#[derive(Debug)]
pub(super) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Listens at `path`; the socket is for this user alone.
    pub(super) async fn bind(path: &Path) -> Result<Self, RouterError> {
        remove_dead_socket(path).await?;
        let path = path.to_owned();
        match UnixListener::bind(&path) {
            Ok(listener) => Self { listener, path }.keep_private(),
            Err(error) => Err(RouterError::Control { path, error }),
        }
    }

    fn keep_private(self) -> Result<Self, RouterError> {
        // bind(2) takes no mode, and umask(2) would change what other threads create.
        let private = std::fs::Permissions::from_mode(0o600);
        match std::fs::set_permissions(&self.path, private) {
            Ok(()) => Ok(self),
            Err(error) => Err(RouterError::ControlOpen {
                path: self.path.clone(),
                error,
            }),
        }
    }

    /// Answers requests for as long as it is polled.
    pub(super) async fn serve(&self, controller: Arc<Controller>) {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            // The permit comes before the connection: what is over the limit waits in the kernel's
            // queue and costs no memory here.
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let controller = Arc::clone(&controller);
                    tokio::spawn(async move {
                        let _permit = permit;
                        if let Err(error) = controller.serve_connection(stream).await {
                            tracing::debug!(%error, "Control connection ended early");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "Control socket accepts no connection");
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "Control socket stays behind");
        }
    }
}

/// Answers requests about one router.
#[derive(Debug)]
pub(super) struct Controller {
    handle: Handle,
    settings: Mutex<Settings>,
}

impl Controller {
    pub(super) fn new(handle: Handle, settings: Settings) -> Self {
        Self {
            handle,
            settings: Mutex::new(settings),
        }
    }

    /// Returns the current settings.
    pub(super) async fn settings(&self) -> Settings {
        self.settings.lock().await.clone()
    }

    /// Answers the requests of a connection until it is closed, a request is too long, or none
    /// comes for too long.
    async fn serve_connection(&self, stream: UnixStream) -> io::Result<()> {
        let (reading, mut writing) = stream.into_split();
        let mut reading = BufReader::new(reading).take(MAX_REQUEST_BYTES);
        loop {
            let mut line = String::new();
            // The limit is one of a request, not of the connection.
            reading.set_limit(MAX_REQUEST_BYTES);
            let read = tokio::time::timeout(IDLE_TIMEOUT, reading.read_line(&mut line)).await??;
            if read == 0 {
                return Ok(());
            }
            let answer = match serde_json::from_str(&line) {
                Ok(request) => self.answer(request).await,
                Err(error) => Answer::Error(format!("no such request: {error}")),
            };
            let mut text = serde_json::to_vec(&answer)?;
            text.push(b'\n');
            tokio::time::timeout(IDLE_TIMEOUT, writing.write_all(&text)).await??;
            // The request was cut at the limit, so what follows is not the start of another.
            if !line.ends_with('\n') {
                return Ok(());
            }
        }
    }

    pub(super) async fn answer(&self, request: Request) -> Answer {
        let done = match request {
            Request::List => self.list().await,
            Request::Reboot => self.handle.reboot().await.map(|()| Answer::Done),
            Request::Set(change) => self.set(&change).await,
        };
        done.unwrap_or_else(|stopped| Answer::Error(stopped.to_string()))
    }

    async fn list(&self) -> Result<Answer, Stopped> {
        let settings = self.settings.lock().await;
        let report = self.handle.report().await?;
        Ok(Answer::Report(Box::new(View::new(&settings, &report))))
    }

    async fn set(&self, change: &Change) -> Result<Answer, Stopped> {
        let mut settings = self.settings.lock().await;
        let new = match settings.changed(change) {
            Ok(new) => new,
            Err(error) => return Ok(Answer::Error(error.to_string())),
        };
        // The lock is held to the end, so that the settings are those of the last change in
        // effect.
        if new.config() != settings.config() {
            self.handle.reconfigure(new.config()).await?;
        }
        if new.port_mapping != settings.port_mapping {
            self.handle.map_ports(new.leasing()).await?;
        }
        if new.link != settings.link {
            self.handle.set_uplink(new.link.config()).await?;
        }
        *settings = new;
        Ok(Answer::Done)
    }
}

/// Removes the socket that a killed router left at `path`. Fails when a router is listening there.
async fn remove_dead_socket(path: &Path) -> Result<(), RouterError> {
    match UnixStream::connect(path).await {
        Ok(_) => Err(RouterError::ControlTaken(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| RouterError::ControlLeft {
                path: path.to_owned(),
                error,
            })
        }
        Err(_) => Ok(()),
    }
}

/// How many connections are served at the same time; others wait to be accepted.
const MAX_CONNECTIONS: usize = 16;
/// The longest request.
const MAX_REQUEST_BYTES: u64 = 64 * 1024;
/// How long a connection may send nothing, or not read an answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after accept(2) failed, as it does again at once when descriptors run out.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_nat::Nat;
    use jackfield_router::{Router, RouterConfig, Tun};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;

    /// Returns the controller of a router whose interfaces are the ends of socket pairs.
    fn controller() -> Controller {
        let interface = || {
            let (near, far) = UnixDatagram::pair().unwrap();
            near.set_nonblocking(true).unwrap();
            // The far end stays open for as long as the router runs.
            std::mem::forget(far);
            Tun::from_fd(OwnedFd::from(near))
        };
        let settings = Settings::new(vec!["198.18.1.1".parse().unwrap()]);
        let nat = Nat::new(settings.config(), [7; 32]);
        let config = RouterConfig::default();
        let (router, handle) = Router::new(nat, interface(), interface(), &config).unwrap();
        tokio::spawn(router.run(std::future::pending()));
        Controller::new(handle, settings)
    }

    async fn view(controller: &Controller) -> View {
        match controller.answer(Request::List).await {
            Answer::Report(view) => *view,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_was_set_is_what_the_list_shows() {
        let controller = controller();
        let change = Change {
            profile: Some("symmetric".into()),
            latency: Some("20ms".into()),
            block_udp: Some(true),
            ..Change::default()
        };
        assert_eq!(
            controller.answer(Request::Set(Box::new(change))).await,
            Answer::Done
        );
        let view = view(&controller).await;
        assert_eq!(view.profile, "symmetric");
        assert_eq!(view.mapping, "address-and-port-dependent");
        assert!((view.link.latency_ms - 20.0).abs() < 1e-9);
        assert!(view.link.block_udp);
    }

    #[tokio::test]
    async fn a_wrong_change_is_refused_whole() {
        let controller = controller();
        let change = Change {
            profile: Some("symmetric".into()),
            loss: Some("a lot".into()),
            ..Change::default()
        };
        let answer = controller.answer(Request::Set(Box::new(change))).await;
        assert!(matches!(answer, Answer::Error(text) if text.contains("percentage")));
        assert_eq!(view(&controller).await.profile, "port-restricted-cone");
    }

    #[tokio::test]
    async fn a_socket_answers_requests_and_junk_and_is_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nat.sock");
        let control = Control::bind(&path).await.unwrap();
        assert!(Control::bind(&path).await.is_err(), "one is listening");
        let controller = Arc::new(controller());
        let visit = async {
            let stream = UnixStream::connect(&path).await.unwrap();
            let (reading, mut writing) = stream.into_split();
            let mut lines = BufReader::new(reading).lines();
            let mut answers = Vec::new();
            for request in ["\"reboot\"\n", "{\"set\":{\"nope\":1}}\n", "\"list\"\n"] {
                writing.write_all(request.as_bytes()).await.unwrap();
                let line = lines.next_line().await.unwrap().unwrap();
                answers.push(serde_json::from_str::<Answer>(&line).unwrap());
            }
            answers
        };
        let answers = tokio::select! {
            answers = visit => answers,
            () = control.serve(controller) => panic!("it stopped serving"),
        };
        assert_eq!(answers[0], Answer::Done);
        assert!(matches!(&answers[1], Answer::Error(text) if text.contains("nope")));
        assert!(matches!(&answers[2], Answer::Report(_)));
        drop(control);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_a_killed_router_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nat.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(Control::bind(&path).await.is_ok());
    }
}
