//! How labs that run are found, and what is removed of those that do not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use jackfield_lab::state::{HostState, Registry, SiteState, State};
use serde_json::json;
use tempfile::TempDir;

#[test]
fn a_lab_is_found_by_its_name_once_it_has_said_what_it_is() {
    let (_folder, labs) = labs();
    let demo = labs.claim("demo", true).unwrap();
    assert_eq!(labs.all().unwrap(), [], "it is still being built");
    demo.publish(&state("demo")).unwrap();
    assert_eq!(labs.find(Some("demo")).unwrap(), state("demo"));
    assert_eq!(
        labs.find(None).unwrap(),
        state("demo"),
        "it is the only one"
    );
    demo.remove();
    assert_eq!(labs.all().unwrap(), []);
}

#[test]
fn of_several_labs_one_has_to_be_named() {
    let (_folder, labs) = labs();
    let claimed = ["zoo", "ape"].map(|name| {
        let lab = labs.claim(name, true).unwrap();
        lab.publish(&state(name)).unwrap();
        lab
    });
    let names: Vec<String> = labs
        .all()
        .unwrap()
        .into_iter()
        .map(|lab| lab.name)
        .collect();
    assert_eq!(names, ["ape", "zoo"]);
    let error = labs.find(None).unwrap_err().to_string();
    assert_eq!(error, "which lab? there is ape, zoo");
    let error = labs.find(Some("bee")).unwrap_err().to_string();
    assert_eq!(error, "no lab is called bee; there is ape, zoo");
    drop(claimed);
    let error = labs.find(None).unwrap_err().to_string();
    assert!(
        error.contains("no lab is running: `jackfield lab up`"),
        "{error}"
    );
}

#[test]
fn a_name_that_is_taken_gets_a_number_or_is_refused() {
    let (_folder, labs) = labs();
    let first = labs.claim("demo", false).unwrap();
    let second = labs.claim("demo", false).unwrap();
    let third = labs.claim("demo", false).unwrap();
    assert_eq!(
        [first.name(), second.name(), third.name()],
        ["demo", "demo-2", "demo-3"]
    );
    let error = labs.claim("demo-2", true).unwrap_err().to_string();
    assert!(
        error.starts_with("a lab called demo-2 is running"),
        "{error}"
    );
    assert!(
        error.contains("`jackfield lab down demo-2`") && error.contains("--name"),
        "{error}"
    );
    second.remove();
    assert_eq!(labs.claim("demo", false).unwrap().name(), "demo-2");
}

#[test]
fn a_name_that_would_lead_out_of_the_folder_is_refused() {
    let (folder, labs) = labs();
    for name in ["", ".", "..", "a/b", "a b", "ä"] {
        let error = labs.claim(name, false).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("a lab cannot be called `{name}`")),
            "{error}"
        );
    }
    assert_eq!(fs::read_dir(folder.path().join("labs")).unwrap().count(), 0);
    assert!(labs.claim("Demo_2-b", true).is_ok());
}

#[test]
fn what_a_killed_lab_left_is_no_lab_and_the_next_one_removes_it() {
    let (_folder, labs) = labs();
    let killed = labs.claim("demo", true).unwrap();
    killed.publish(&state("demo")).unwrap();
    let path = killed.path().to_owned();
    fs::write(path.join("home.sock"), "").unwrap();
    // The kernel gives the lock back when a process ends, however it does.
    drop(killed);
    assert_eq!(labs.all().unwrap(), []);
    assert!(path.exists());
    let other = labs.claim("other", true).unwrap();
    assert!(!path.exists());
    assert!(other.path().exists(), "a lab that runs stays");
}

#[test]
fn labs_that_begin_and_end_at_the_same_time_leave_each_other_alone() {
    let (_folder, labs) = labs();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let lab = labs.claim("demo", false).unwrap();
                    let own = state(lab.name());
                    lab.publish(&own).unwrap();
                    assert_eq!(labs.find(Some(lab.name())).unwrap(), own);
                    lab.remove();
                }
            });
        }
    });
    assert_eq!(labs.all().unwrap(), []);
}

#[test]
fn a_file_that_is_not_whole_is_no_lab() {
    let (_folder, labs) = labs();
    let demo = labs.claim("demo", true).unwrap();
    demo.publish(&state("demo")).unwrap();
    fs::write(demo.path().join("state.json"), "{\"name\":\"demo\"").unwrap();
    assert_eq!(labs.all().unwrap(), []);
}

#[test]
fn other_users_cannot_read_what_a_lab_writes() {
    let (folder, labs) = labs();
    let demo = labs.claim("demo", true).unwrap();
    for path in [folder.path().join("labs").as_path(), demo.path()] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", path.display());
    }
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let (folder, _) = labs();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Registry::at(file.join("labs")).unwrap_err().to_string();
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

#[test]
fn the_json_of_a_state_is_as_promised() {
    let wanted = json!({
        "name": "demo",
        "supervisor": 100,
        "inside": 101,
        "sites": {
            "home": {
                "router": "symmetric",
                "external": ["198.18.1.1"],
                "behind": null,
                "control": "/run/jackfield-lab/demo/home.sock",
            },
        },
        "hosts": {
            "ann": {
                "site": "home",
                "addresses": ["10.1.0.1"],
                "netns": 7,
                "variables": {"LAB_HOST": "ann"},
            },
        },
    });
    assert_eq!(serde_json::to_value(state("demo")).unwrap(), wanted);
    assert_eq!(
        serde_json::from_value::<State>(wanted).unwrap(),
        state("demo")
    );
}

fn labs() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let labs = Registry::at(folder.path().join("labs")).unwrap();
    (folder, labs)
}

fn state(name: &str) -> State {
    let site = SiteState {
        router: "symmetric".into(),
        external: vec!["198.18.1.1".into()],
        behind: None,
        control: format!("/run/jackfield-lab/{name}/home.sock").into(),
    };
    let host = HostState {
        site: Some("home".into()),
        addresses: vec!["10.1.0.1".into()],
        netns: 7,
        variables: BTreeMap::from([("LAB_HOST".into(), "ann".into())]),
    };
    State {
        name: name.into(),
        supervisor: 100,
        inside: 101,
        sites: BTreeMap::from([("home".into(), site)]),
        hosts: BTreeMap::from([("ann".into(), host)]),
    }
}
