//! How `nat list`, `set` and `reboot` ask a router over its control socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;

use jackfield_lab::nat::{Answer, Change, Request, ask};
use tempfile::TempDir;

#[test]
fn a_request_is_one_line_and_so_is_the_answer() {
    let mut change = Change::default();
    change.set("profile", "symmetric").unwrap();
    let request = Request::Set(Box::new(change));
    let router = Router::answering("\"done\"\n");
    assert_eq!(ask(&router.path(), &request).unwrap(), Answer::Done);
    let line = router.heard();
    assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
}

#[test]
fn a_refusal_is_an_error_in_the_words_of_the_router() {
    let router = Router::answering("{\"error\":\"loss cannot be `x`\"}\n");
    let error = ask(&router.path(), &Request::Reboot).unwrap_err();
    assert_eq!(error.to_string(), "loss cannot be `x`");
}

#[test]
fn what_is_no_answer_is_an_error_and_names_the_cause() {
    for answer in ["SSH-2.0-OpenSSH\n", "{\"report\":{}}\n", "\"done", ""] {
        let router = Router::answering(answer);
        let error = ask(&router.path(), &Request::List).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.starts_with("the router does not speak our language: "),
            "{answer}: {text}"
        );
    }
}

#[test]
fn a_router_that_is_not_there_is_named_with_what_would_help() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nat.sock");
    let error = ask(&path, &Request::List).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    assert!(
        error.contains("jackfield nat run") && error.contains("--control"),
        "{error}"
    );
}

/// A process that stands for a router: it hears one request and gives one answer.
struct Router {
    folder: TempDir,
    heard: thread::JoinHandle<String>,
}

impl Router {
    fn answering(answer: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let heard = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut line).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            line
        });
        Self { folder, heard }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(SOCKET)
    }

    fn heard(self) -> String {
        self.heard.join().unwrap()
    }
}

const SOCKET: &str = "nat.sock";
