//! `jackfield lab`: its flags, and what people see of a lab.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::{complain, failed, grid, json, note, say, wrong_use};
use jackfield_lab::state::{Registry, State};
use jackfield_lab::{
    CommandLine, Event, Job, LabOptions, LineFormat, Observer, Plan, Spec, Stream, down, exec,
    run as run_lab, up,
};

/// Returns `jackfield lab` with its subcommands.
pub(super) fn command() -> Command {
    Command::new("lab")
        .about("A small internet on this machine: hosts behind NATs and firewalls, and programs in them (Linux)")
        .subcommand_required(true)
        .subcommand(run_command())
        .subcommand(up_command())
        .subcommand(grid::command())
        .subcommand(
            Command::new("exec")
                .about("Runs a program on a host of a lab that is up; a shell when none is named")
                .after_help(
                    "Examples:\n  \
                     jackfield lab exec ann\n  \
                     jackfield lab exec ann ping -c 1 server\n  \
                     jackfield lab exec --lab demo bob -- python3 -m http.server",
                )
                .args([
                    lab(),
                    Arg::new("host").required(true).value_name("HOST").help("Where to run it."),
                    words("Runs this program with these arguments.").trailing_var_arg(true),
                ]),
        )
        .subcommand(
            Command::new("list")
                .about("Shows the labs that are up, with their sites and hosts")
                .after_help("Examples:\n  jackfield lab list\n  jackfield lab list --json | jq '.[].hosts'")
                .arg(json()),
        )
        .subcommand(
            Command::new("down")
                .about("Ends a lab that is up, and everything that runs in it")
                .after_help("Examples:\n  jackfield lab down\n  jackfield lab down demo")
                .arg(Arg::new("name").value_name("LAB").help("Which one; the only one by default.")),
        )
}

fn run_command() -> Command {
    Command::new("run")
        .about("Builds a lab, runs programs in it, and takes it away again")
        .long_about(
            "Builds hosts behind NATs and firewalls in network namespaces, runs programs in them, and takes everything \
             away again: the kernel does, even when this program is killed.\n\n\
             There is always a host called `server` with the public addresses 198.18.0.1 and 198.18.0.2. Hosts find \
             each other by name, and each program finds addresses in LAB_IP, LAB_PUBLIC_IP, LAB_SERVER, \
             LAB_IP_ANN, LAB_PUBLIC_IP_ANN and so on. The exit code is the worst one of the programs in the foreground. \
             It takes root, or a kernel that lets users have namespaces, with /dev/net/tun open to them.",
        )
        .after_help(RUN_EXAMPLES)
        .args(content())
        .args([
            Arg::new("keep")
                .long("keep")
                .action(ArgAction::SetTrue)
                .help("Stays when the programs have ended, until it is told to end."),
            Arg::new("quiet")
                .long("quiet")
                .short('q')
                .action(ArgAction::SetTrue)
                .help("Does not say what there is."),
            Arg::new("on")
                .long("on")
                .value_name("HOST")
                .help("Where COMMAND runs; the first host of the flags by default."),
            words("Runs this program with the terminal for itself; the lab ends with it.").last(true),
        ])
}

fn up_command() -> Command {
    Command::new("up")
        .about("Builds a lab that stays, for `lab exec` and `lab down`")
        .after_help(
            "Examples:\n  \
             jackfield lab up demo.toml\n  \
             jackfield lab up --name demo --serve --site home=symmetric --host ann@home --host bob\n  \
             jackfield lab exec ann ping -c 1 server\n  \
             jackfield lab down",
        )
        .args(content())
}

/// Returns the flags that describe a lab.
fn content() -> Vec<Arg> {
    let many = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .action(ArgAction::Append)
            .help(help)
    };
    vec![
        Arg::new("file")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Reads the lab from this TOML file; flags add to it."),
        Arg::new("name")
            .long("name")
            .value_name("NAME")
            .help("What the lab is called. [default: the name of FILE, or `lab`]"),
        many(
            "site",
            "NAME[=WORD,...]",
            "Adds a network. CommandLine: a NAT (see `jackfield nat profiles`, or MAPPING/FILTERING) or several from the host \
             outwards, a firewall (no-udp, no-udp-no-incoming-tcp, only-https), behind=SITE, external=COUNT, \
             proxy=http or proxy=socks where hosts reach nothing but a proxy, or a \
             setting of its router such as latency=TIME, loss=PERCENT or rate=RATE (see `jackfield nat run --help`). \
             Without a NAT its addresses are public.",
        ),
        many(
            "host",
            "NAME[@SITE]",
            "Adds a host; without a site it has a public address.",
        ),
        Arg::new("serve")
            .long("serve")
            .action(ArgAction::SetTrue)
            .help("Runs `jackfield serve` on the server: port 3478, and TLS on 443."),
        Arg::new("ipv6")
            .long("ipv6")
            .action(ArgAction::SetTrue)
            .help("Gives every host an IPv6 address, behind a firewall that lets answers in."),
        many(
            "start",
            "HOST=COMMAND",
            "Runs a line of shell on a host, in the background.",
        ),
        many(
            "run",
            "HOST=COMMAND",
            "Runs a line of shell on a host; the lab ends when all of these have.",
        ),
        Arg::new("capture")
            .long("capture")
            .value_name("FOLDER")
            .value_parser(value_parser!(PathBuf))
            .help("Writes what each router sees and decides to SITE.pcapng in this folder."),
        Arg::new("seed")
            .long("seed")
            .value_name("NUMBER")
            .value_parser(value_parser!(u64))
            .help("Makes random ports and losses the same every time."),
    ]
}

fn words(help: &'static str) -> Arg {
    Arg::new("command")
        .value_name("COMMAND")
        .num_args(0..)
        .allow_hyphen_values(true)
        .help(help)
}

fn lab() -> Arg {
    Arg::new("lab")
        .long("lab")
        .value_name("NAME")
        .help("Which lab; the only one by default.")
}

/// Runs one of the subcommands.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    match matches.subcommand() {
        Some(("run", matches)) => run_here(matches),
        Some(("up", matches)) => start(matches),
        Some(("grid", matches)) => grid::run(matches),
        Some(("exec", matches)) => run_there(matches),
        Some(("list", matches)) => list(matches),
        Some(("down", matches)) => end(matches),
        _ => wrong_use("lab needs a subcommand"),
    }
}

fn run_here(matches: &ArgMatches) -> ExitCode {
    let spec = match read(matches) {
        Ok(spec) => spec,
        Err(text) => return wrong_use(&text),
    };
    let plan = match Plan::new(&spec) {
        Ok(plan) => plan,
        Err(error) => return wrong_use(&error.to_string()),
    };
    let command = match terminal_job(matches, &plan) {
        Ok(command) => command,
        Err(text) => return wrong_use(&text),
    };
    let options = LabOptions {
        name: name(matches),
        exact_name: matches.contains_id("name"),
        keep: matches.get_flag("keep"),
        command,
        capture: matches.get_one("capture").cloned(),
        seed: matches.get_one("seed").copied(),
        observer: observer(&plan, matches.get_flag("quiet")),
        ..LabOptions::default()
    };
    match run_lab(&spec, &plan, &options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error.into()),
    }
}

/// Shows a lab on this process's outputs: what programs print with the name of their host in
/// front.
fn observer(plan: &Plan, quiet: bool) -> Observer {
    let format = LineFormat::new(plan.host_names(), super::has_colours());
    Observer::new(move |event| match event {
        Event::Built { name, plan } if !quiet => note(&plan.describe(name)),
        Event::Line { host, stream, text } => write_line(*stream, &format.line(host, text)),
        Event::Ended { program, code } => note(&format!("{program} ended with {code}")),
        Event::Failed(error) => complain(&error.to_string()),
        _ => {}
    })
}

fn write_line(stream: Stream, line: &[u8]) {
    // A reader that closes its end of the pipe has read enough.
    let _closed = match stream {
        Stream::Out => {
            let mut out = std::io::stdout().lock();
            out.write_all(line).and_then(|()| out.flush())
        }
        Stream::Err => std::io::stderr().lock().write_all(line),
    };
}

/// Merges the file and the flags.
fn read(matches: &ArgMatches) -> Result<Spec, String> {
    let mut spec = match matches.get_one::<PathBuf>("file") {
        None => Spec::default(),
        Some(path) => {
            let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
            Spec::from_toml(&text).map_err(|error| named(&error))?
        }
    };
    let texts = |name: &str| matches.get_many::<String>(name).unwrap_or_default();
    let said = |error: jackfield_lab::SpecError| error.to_string();
    for site in texts("site") {
        spec.add_site(site).map_err(said)?;
    }
    for host in texts("host") {
        spec.add_host(host).map_err(said)?;
    }
    for line in texts("start") {
        spec.add_line("--start", line, true).map_err(said)?;
    }
    for line in texts("run") {
        spec.add_line("--run", line, false).map_err(said)?;
    }
    if matches.get_flag("serve") {
        spec.serve.get_or_insert_default();
    }
    spec.ipv6 |= matches.get_flag("ipv6");
    Ok(spec)
}

/// Returns the program that has the terminal, if one was named.
fn terminal_job(matches: &ArgMatches, plan: &Plan) -> Result<Option<Job>, String> {
    let words: Vec<String> = matches
        .get_many("command")
        .map(|words| words.cloned().collect())
        .unwrap_or_default();
    let host = matches.get_one::<String>("on");
    match (words.is_empty(), host) {
        (true, None) => return Ok(None),
        (true, Some(_)) => return Err("--on needs a COMMAND to run there".to_owned()),
        (false, _) => {}
    }
    let flags = matches.get_many::<String>("host").unwrap_or_default();
    let first = flags.map(|text| text.split('@').next().unwrap_or(text));
    let host = host.map(String::as_str).or_else(|| first.clone().next());
    let host = host.or_else(|| plan.hosts.first().map(|host| host.name.as_str()));
    let host = host.unwrap_or(jackfield_lab::SERVER);
    let mut known: Vec<&str> = plan.hosts.iter().map(|host| host.name.as_str()).collect();
    known.push(jackfield_lab::SERVER);
    if !known.contains(&host) {
        return Err(format!(
            "--on cannot be `{host}`: accepted is {}",
            known.join(", ")
        ));
    }
    Ok(Some(Job::new(host, CommandLine::Exec(words))))
}

fn name(matches: &ArgMatches) -> String {
    let file = matches.get_one::<PathBuf>("file");
    let stem = file.and_then(|path| Path::new(path).file_stem()?.to_str());
    let given = matches.get_one::<String>("name").map(String::as_str);
    let name = given.or(stem).unwrap_or("lab");
    // It becomes the name of a folder.
    name.replace(
        |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_',
        "-",
    )
}

fn start(matches: &ArgMatches) -> ExitCode {
    let planned =
        read(matches).and_then(|spec| Plan::new(&spec).map_err(|error| error.to_string()));
    if let Err(text) = planned {
        return wrong_use(&text);
    }
    let name = name(matches);
    let mut arguments: Vec<String> = ["lab", "run", "--keep", "--name", &name]
        .map(str::to_owned)
        .to_vec();
    for flag in ["serve", "ipv6"] {
        if matches.get_flag(flag) {
            arguments.push(format!("--{flag}"));
        }
    }
    for flag in ["site", "host", "start", "run"] {
        for text in matches.get_many::<String>(flag).unwrap_or_default() {
            arguments.push(format!("--{flag}={text}"));
        }
    }
    if let Some(folder) = matches.get_one::<PathBuf>("capture") {
        arguments.push(format!("--capture={}", folder.display()));
    }
    if let Some(seed) = matches.get_one::<u64>("seed") {
        arguments.push(format!("--seed={seed}"));
    }
    if let Some(file) = matches.get_one::<PathBuf>("file") {
        arguments.push(file.display().to_string());
    }
    let started = std::env::current_exe()
        .context("the path of this program is unknown")
        .and_then(|program| {
            let mut command = std::process::Command::new(program);
            command.args(arguments);
            Ok(up(&name, command)?)
        });
    match started {
        Ok((lab, log)) => {
            say(&format!("{}\n  output: {}", describe(&lab), log.display()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            // The error has the words of the other process, which begin as ours do.
            let text = format!("{error:#}");
            complain(text.strip_prefix("jackfield: ").unwrap_or(&text));
            ExitCode::from(1)
        }
    }
}

fn run_there(matches: &ArgMatches) -> ExitCode {
    let words: Vec<String> = matches
        .get_many("command")
        .map(|words| words.cloned().collect())
        .unwrap_or_default();
    let Some(host) = matches.get_one::<String>("host") else {
        return wrong_use("a HOST is needed");
    };
    let lab = matches.get_one::<String>("lab").map(String::as_str);
    match find(lab).and_then(|lab| Ok(exec(&lab, host, &words)?)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error),
    }
}

fn list(matches: &ArgMatches) -> ExitCode {
    let labs = match Registry::of_user().and_then(|labs| labs.all()) {
        Ok(labs) => labs,
        Err(error) => return failed(&error.into()),
    };
    if matches.get_flag("json") {
        match serde_json::to_string(&labs) {
            Ok(text) => say(&text),
            Err(error) => return failed(&error.into()),
        }
    } else if labs.is_empty() {
        note("no lab is up");
    } else {
        let all: Vec<String> = labs.iter().map(describe).collect();
        say(&all.join("\n"));
    }
    ExitCode::SUCCESS
}

fn end(matches: &ArgMatches) -> ExitCode {
    let name = matches.get_one::<String>("name").map(String::as_str);
    match find(name).and_then(|lab| Ok(down(&lab)?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Returns the running lab of that name, or the only one.
fn find(name: Option<&str>) -> anyhow::Result<State> {
    Ok(Registry::of_user()?.find(name)?)
}

/// Returns what a running lab consists of, for people.
fn describe(lab: &State) -> String {
    let mut lines = vec![format!("lab {}", lab.name)];
    for (name, site) in &lab.sites {
        let external = match site.external.is_empty() {
            true => String::new(),
            false => format!(" at {}", site.external.join(", ")),
        };
        let behind = site.behind.as_ref();
        let behind = behind.map_or_else(String::new, |site| format!(", behind {site}"));
        lines.push(format!("  site {name}: {}{external}{behind}", site.router));
        lines.push(format!(
            "    jackfield nat list --control {}",
            site.control.display()
        ));
    }
    for (name, host) in &lab.hosts {
        let site = host.site.as_ref();
        let site = site.map_or_else(String::new, |site| format!(" in {site}"));
        lines.push(format!(
            "  host {name}: {}{site}",
            host.addresses.join(", ")
        ));
    }
    lines.join("\n")
}

const RUN_EXAMPLES: &str = "\
Examples:
  jackfield lab run --site home=symmetric --host ann@home -- turnutils_natdiscovery -m -f 198.18.0.1
  jackfield lab run --serve --site home=linux,cgn --host ann@home --host bob --run 'ann=ping -c 3 bob'
  jackfield lab run --serve --site office=full-cone,only-https,latency=20ms --host ann@office -- bash
  jackfield lab run demo.toml

A file:
  [server]
  serve = true                  # runs `jackfield serve`; flags = [\"--realm\", \"lab\"]

  [site.carrier]
  nat = \"cgn\"

  [site.home]
  nat = \"port-restricted-cone\"  # or a list from the host outwards, or \"MAPPING/FILTERING\"
  behind = \"carrier\"
  firewall = \"no-udp\"           # or no-udp-no-incoming-tcp, only-https
  latency = \"20ms\"              # also jitter, loss, loss-burst, reorder, duplicate, rate, queue, block-udp,
                                # mapping, filtering, hairpinning, udp-timeout, port-mapping, external,
                                # new-mappings-per-host, new-flows-per-host

  [host.ann]
  site = \"home\"

  [host.bob]                    # without a site it has a public address

  [[command]]
  on = \"bob\"
  run = \"python3 -m http.server\"
  background = true
  ready = \"Serving\"             # what it prints when the next one may start; ready-within = \"30s\"

  [[command]]
  on = \"ann\"
  run = [\"curl\", \"-s\", \"http://bob:8000/\"]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_add_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my lab.toml");
        std::fs::write(
            &file,
            "[site.home]\nnat = \"linux\"\n[host.ann]\nsite = \"home\"",
        )
        .unwrap();
        let file = file.to_str().unwrap();
        let matches = parse(&[
            "--ipv6", "--serve", "--host", "bob@home", "--run", "bob=true", file,
        ]);
        let spec = read(&matches).unwrap();
        let hosts: Vec<&str> = spec.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(hosts, ["ann", "bob"]);
        assert!(spec.ipv6 && spec.serve == Some(Vec::new()) && spec.jobs.len() == 1);
        assert_eq!(name(&matches), "my-lab", "it becomes the name of a folder");
        let error = read(&parse(&["--host", "ann", file])).unwrap_err();
        assert!(error.contains("--host ann is there twice"), "{error}");
    }

    #[test]
    fn a_mistake_in_a_file_is_named_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lab.toml");
        std::fs::write(&file, "[site.home]\nnat = \"cone\"").unwrap();
        let error = read(&parse(&[file.to_str().unwrap()])).unwrap_err();
        let start = format!("{}: site.home.nat cannot be `cone`", file.display());
        assert!(error.starts_with(&start), "{error}");
    }

    #[test]
    fn a_program_with_the_terminal_runs_on_the_first_host_unless_told_otherwise() {
        let host = |flags: &[&str]| {
            let matches = parse(&[flags, &["--", "ls", "-l"]].concat());
            let plan = Plan::new(&read(&matches).unwrap()).unwrap();
            let job = terminal_job(&matches, &plan).unwrap().unwrap();
            let words = ["ls", "-l"].map(str::to_owned).to_vec();
            assert_eq!(job.command, CommandLine::Exec(words));
            job.host
        };
        let both = [
            "--site",
            "home=linux",
            "--host",
            "zoe@home",
            "--host",
            "ann",
        ];
        assert_eq!(host(&both), "zoe");
        assert_eq!(host(&[&both[..], &["--on", "ann"]].concat()), "ann");
        assert_eq!(host(&[&both[..], &["--on", "server"]].concat()), "server");
        assert_eq!(host(&[]), "server", "it is always there");
    }

    #[test]
    fn without_a_program_nothing_has_the_terminal() {
        let matches = parse(&["--host", "ann"]);
        let plan = Plan::new(&read(&matches).unwrap()).unwrap();
        assert_eq!(terminal_job(&matches, &plan), Ok(None));
        assert_eq!(name(&matches), "lab");
        assert_eq!(name(&parse(&["--name", "a/b c"])), "a-b-c");
    }

    fn parse(arguments: &[&str]) -> ArgMatches {
        let words = ["lab", "run"].iter().chain(arguments);
        let mut matches = command().try_get_matches_from(words).unwrap();
        matches.remove_subcommand().unwrap().1
    }
}
