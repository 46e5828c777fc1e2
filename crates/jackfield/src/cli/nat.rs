//! `jackfield nat`: its flags, and what it prints.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use jackfield_nat::profile::Profile;

use super::{failed, json, oracle, say, wrong_use};
use jackfield_lab::nat::{
    Answer, Change, Interface, Request, RouterOptions, Settings, ask, default_path, run_router,
};

/// Returns `jackfield nat` with its subcommands.
pub(super) fn command() -> Command {
    Command::new("nat")
        .about("A real NAT router between two TUN interfaces, with any behaviour (Linux)")
        .subcommand_required(true)
        .subcommand(run_command())
        .subcommand(
            Command::new("list")
                .about("Shows a running router: what it is, its mappings, why packets were dropped")
                .after_help("Examples:\n  jackfield nat list\n  jackfield nat list --json | jq .drops")
                .args([control(), json()]),
        )
        .subcommand(
            Command::new("set")
                .about("Changes a running router")
                .after_help(
                    "A change of behaviour forgets all mappings, as a reboot does; a change of the link keeps them.\n\n\
                     Examples:\n  \
                     jackfield nat set --profile symmetric\n  \
                     jackfield nat set --profile cgn --new-mappings-per-host 50\n  \
                     jackfield nat set --latency 40ms --loss 1 --loss-burst 4\n  \
                     jackfield nat set --rate 2mbit --queue 32KiB\n  \
                     jackfield nat set --block-udp=false",
                )
                .args(change())
                .arg(control()),
        )
        .subcommand(
            Command::new("reboot")
                .about("Has a running router forget every mapping")
                .after_help("Examples:\n  jackfield nat reboot")
                .arg(control()),
        )
        .subcommand(oracle::command())
        .subcommand(
            Command::new("profiles")
                .about("Lists the NATs that there are by name")
                .after_help("Examples:\n  jackfield nat profiles\n  jackfield nat profiles --json")
                .arg(json()),
        )
}

fn run_command() -> Command {
    let interface = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("NAME[=ADDRESS/LENGTH][@NAMESPACE]")
            .required(true)
            .value_parser(value_parser!(Interface))
            .help(help)
    };
    Command::new("run")
        .about("Routes between two interfaces that it makes, until it is stopped")
        .long_about(
            "Makes two TUN interfaces and routes between them as a NAT does, until SIGINT or SIGTERM.\n\n\
             The inside interface is the way out of the namespace that the programs behind the NAT run in; the \
             outside interface is where the NAT's external addresses are in the namespace of everybody else, which \
             gets a route to each of them. A namespace is a name of `ip netns`, a path, or a process id. Needs \
             CAP_NET_ADMIN where the interfaces are made: root, or user namespaces of one's own.",
        )
        .after_help(
            "Examples:\n  \
             ip netns add home\n  \
             jackfield nat run --inside tun0=10.0.0.2/24@home --default-route --outside nat0 \\\n      \
             --external 198.18.1.1 --profile symmetric\n  \
             jackfield nat run --inside tun0=10.0.0.2/24@home --outside nat0@internet --external 198.18.1.1 \\\n      \
             --mapping address-dependent --filtering eif --latency 20ms --loss 0.5\n  \
             ip netns exec home turnutils_natdiscovery -m -f 198.18.0.1",
        )
        .args([
            interface("inside", "The interface of the programs behind the NAT; the address is theirs."),
            interface("outside", "The interface of everybody else."),
            Arg::new("external")
                .long("external")
                .value_name("IP")
                .required(true)
                .action(ArgAction::Append)
                .value_delimiter(',')
                .value_parser(value_parser!(IpAddr))
                .help("The NAT's outside addresses, which no host may have."),
            Arg::new("gateway")
                .long("gateway")
                .value_name("IP")
                .value_parser(value_parser!(IpAddr))
                .help("The NAT's own inside address; by default the first of the inside prefix that is free."),
            Arg::new("default-route")
                .long("default-route")
                .action(ArgAction::SetTrue)
                .help("Makes the NAT the default route of the inside namespace."),
        ])
        .args(change())
        .args([
            Arg::new("mtu")
                .long("mtu")
                .value_name("BYTES")
                .value_parser(value_parser!(u16).range(576..))
                .help("The MTU of both interfaces and of the NAT; 1500 and the kernel's care without it."),
            Arg::new("no-offload")
                .long("no-offload")
                .action(ArgAction::SetTrue)
                .help("Takes packets one by one instead of in trains of up to 64 KiB."),
            Arg::new("queues")
                .long("queues")
                .value_name("NUMBER")
                .value_parser(value_parser!(u16).range(1..=64))
                .help("How many threads move packets, each with a queue of both interfaces. [default: 1]"),
            Arg::new("capture")
                .long("capture")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Writes packets as they come and go to a pcapng file, with the NAT's verdicts as comments."),
            Arg::new("seed")
                .long("seed")
                .value_name("NUMBER")
                .value_parser(value_parser!(u64))
                .help("Makes random ports and losses the same every time."),
            control(),
            json(),
        ])
}

/// Returns the flags of settings that can be changed while a router runs.
fn change() -> Vec<Arg> {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    vec![
        text(
            "profile",
            "NAME",
            "What kind of NAT it is; see `jackfield nat profiles`. [default: port-restricted-cone]",
        ),
        text(
            "mapping",
            "TYPE",
            "endpoint-independent, address-dependent or address-and-port-dependent (eim, adm, apdm).",
        ),
        text(
            "filtering",
            "TYPE",
            "endpoint-independent, address-dependent or address-and-port-dependent (eif, adf, apdf).",
        ),
        text(
            "hairpinning",
            "TYPE",
            "off, internal-source or external-source.",
        ),
        text(
            "udp-timeout",
            "TIME",
            "How long idle UDP mappings live, such as 30s.",
        ),
        text(
            "new-mappings-per-host",
            "NUMBER",
            "How many mappings a host may make in a second (RFC 6888, REQ-4c), or none. [default: the profile's]",
        ),
        text(
            "new-flows-per-host",
            "NUMBER",
            "How many flows a host may start in a second (RFC 6888, REQ-5b), or none. [default: the profile's]",
        ),
        text(
            "firewall",
            "NAME",
            "What is refused: none, no-udp, no-udp-no-incoming-tcp, or only-https, which lets TCP to 80 and 443 out.",
        ),
        text(
            "latency",
            "TIME",
            "How long packets take on the outside link, one way, such as 20ms.",
        ),
        text(
            "jitter",
            "TIME",
            "By how much longer packets may take on the outside link; they stay in order.",
        ),
        text(
            "loss",
            "PERCENT",
            "How many packets get lost on the outside link, each way.",
        ),
        text(
            "loss-burst",
            "NUMBER",
            "How many packets in a row get lost, on average. [default: 1]",
        ),
        text(
            "reorder",
            "PERCENT",
            "How many packets overtake those before them on the outside link.",
        ),
        text(
            "duplicate",
            "PERCENT",
            "How many packets arrive twice from the outside link.",
        ),
        text(
            "rate",
            "RATE",
            "How much the outside link carries each way, such as 512kbit or 10mbit. [default: none]",
        ),
        text(
            "queue",
            "BYTES",
            "How many bytes may wait where the link has a rate, such as 64KiB, which is the default.",
        ),
        text(
            "port-mapping",
            "PROTOCOLS",
            "How hosts inside may ask for ports: some of nat-pmp, pcp and upnp, or all. [default: none]",
        ),
        Arg::new("block-udp")
            .long("block-udp")
            .value_name("YES")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(value_parser!(bool))
            .help("Drops all UDP."),
    ]
}

fn control() -> Arg {
    Arg::new("control")
        .long("control")
        .value_name("PATH")
        .value_parser(value_parser!(PathBuf))
        .help("The control socket. [default: jackfield-nat.sock in $XDG_RUNTIME_DIR or /run]")
}

/// Runs one of the subcommands.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    match matches.subcommand() {
        Some(("run", matches)) => start(matches),
        Some(("list", matches)) => request(matches, &Request::List),
        Some(("set", matches)) => set(matches),
        Some(("reboot", matches)) => request(matches, &Request::Reboot),
        Some(("oracle", matches)) => oracle::run(matches),
        Some(("profiles", matches)) => profiles(matches),
        _ => wrong_use("nat needs a subcommand"),
    }
}

fn start(matches: &ArgMatches) -> ExitCode {
    let (Some(inside), Some(outside)) = (
        matches.get_one::<Interface>("inside"),
        matches.get_one::<Interface>("outside"),
    ) else {
        return wrong_use("--inside and --outside are needed");
    };
    let settings = match settings(matches, inside, outside) {
        Ok(settings) => settings,
        Err(text) => return wrong_use(&text),
    };
    let options = RouterOptions {
        inside: inside.clone(),
        outside: outside.clone(),
        default_route: matches.get_flag("default-route"),
        offload: !matches.get_flag("no-offload"),
        queues: matches
            .get_one("queues")
            .map_or(1, |queues: &u16| usize::from(*queues)),
        control: control_path(matches),
        capture: matches.get_one("capture").cloned(),
        seed: matches.get_one("seed").copied(),
    };
    let json = matches.get_flag("json");
    let hello = format!(
        "{} is the way out, {} the way in; control: {}",
        inside.name,
        outside.name,
        options.control.display()
    );
    let ready = || {
        if !json {
            say(&hello);
        }
    };
    match run_router(settings, &options, ready) {
        Ok(view) => {
            print(json, &view);
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error.into()),
    }
}

/// Returns the settings that the flags ask for, or what is wrong with them.
fn settings(
    matches: &ArgMatches,
    inside: &Interface,
    outside: &Interface,
) -> Result<Settings, String> {
    let externals: Vec<IpAddr> = matches
        .get_many("external")
        .map(|all| all.copied().collect())
        .unwrap_or_default();
    let taken = [inside, outside]
        .into_iter()
        .filter_map(|interface| interface.address)
        .find(|(ip, _)| externals.contains(ip));
    if let Some((ip, _)) = taken {
        return Err(format!(
            "{ip} cannot be both the NAT's external address and the one of a host"
        ));
    }
    let mut settings = Settings::new(externals);
    settings.gateway = matches
        .get_one("gateway")
        .copied()
        .or_else(|| inside.neighbour());
    settings.mtu = matches.get_one("mtu").copied();
    settings
        .changed(&read_change(matches))
        .map_err(|error| format!("--{error}"))
}

fn read_change(matches: &ArgMatches) -> Change {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    Change {
        profile: text("profile"),
        mapping: text("mapping"),
        filtering: text("filtering"),
        hairpinning: text("hairpinning"),
        udp_timeout: text("udp-timeout"),
        new_mappings_per_host: text("new-mappings-per-host"),
        new_flows_per_host: text("new-flows-per-host"),
        firewall: text("firewall"),
        latency: text("latency"),
        jitter: text("jitter"),
        loss: text("loss"),
        loss_burst: text("loss-burst"),
        reorder: text("reorder"),
        duplicate: text("duplicate"),
        rate: text("rate"),
        queue: text("queue"),
        block_udp: matches.get_one("block-udp").copied(),
        port_mapping: text("port-mapping"),
    }
}

fn set(matches: &ArgMatches) -> ExitCode {
    let change = read_change(matches);
    if change == Change::default() {
        return wrong_use("nothing to change; `jackfield nat set --help` lists what can be");
    }
    // A value that no router accepts is wrong use (exit code 2), whether a router runs or not.
    if let Err(error) = Settings::new(Vec::new()).changed(&change) {
        return wrong_use(&format!("--{error}"));
    }
    request(matches, &Request::Set(Box::new(change)))
}

fn request(matches: &ArgMatches, request: &Request) -> ExitCode {
    match ask(&control_path(matches), request) {
        Ok(Answer::Report(view)) => {
            print(matches.get_flag("json"), &view);
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => failed(&error.into()),
    }
}

fn profiles(matches: &ArgMatches) -> ExitCode {
    if matches.get_flag("json") {
        let all = Profile::ALL.iter().map(|profile| {
            let breaks = profile.deviations().iter();
            let breaks: Vec<String> = breaks
                .map(|deviation| format!("{}: {}", deviation.requirement, deviation.instead))
                .collect();
            serde_json::json!({
                "name": profile.name(),
                "about": profile.about(),
                "deviations": breaks,
            })
        });
        say(&serde_json::Value::from_iter(all).to_string());
    } else {
        for profile in Profile::ALL {
            say(&format!("{:22} {}", profile.name(), profile.about()));
        }
    }
    ExitCode::SUCCESS
}

fn control_path(matches: &ArgMatches) -> PathBuf {
    matches
        .get_one::<PathBuf>("control")
        .cloned()
        .unwrap_or_else(default_path)
}

fn print(json: bool, view: &jackfield_lab::nat::View) {
    match serde_json::to_string(view) {
        Ok(text) if json => say(&text),
        _ => say(&view.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Settings, String> {
        let words = std::iter::once("nat").chain(line.split_whitespace());
        let matches = command()
            .try_get_matches_from(words)
            .map_err(|error| error.to_string())?;
        let (_, matches) = matches.subcommand().unwrap();
        let interface = |name: &str| matches.get_one::<Interface>(name).unwrap();
        settings(matches, interface("inside"), interface("outside"))
    }

    #[test]
    fn a_whole_command_line_becomes_settings() {
        let settings = parse(
            "run --inside t=10.0.0.2/24@home --outside n --external 198.18.1.1,198.18.1.2 --profile full-cone \
             --filtering adf --loss 1 --block-udp",
        )
        .unwrap();
        assert_eq!(settings.externals.len(), 2);
        assert_eq!(settings.profile, Profile::FULL_CONE);
        assert_eq!(settings.gateway, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(settings.link.loss, 10_000);
        assert!(settings.link.block_udp);
    }

    #[test]
    fn the_flags_of_a_router_have_the_names_that_scripts_use() {
        let command = run_command();
        let mut names: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
        // The settings have a test of their own.
        names.retain(|name| !Change::KEYS.contains(name));
        assert_eq!(
            names,
            [
                "inside",
                "outside",
                "external",
                "gateway",
                "default-route",
                "mtu",
                "no-offload",
                "queues",
                "capture",
                "seed",
                "control",
                "json"
            ]
        );
    }

    #[test]
    fn what_cannot_be_is_said_in_the_words_of_the_flag() {
        let with = |rest: &str| {
            let line = format!("run --inside t=10.0.0.2/24 --outside n --external {rest}");
            parse(&line).unwrap_err()
        };
        assert!(with("10.0.0.2").contains("both"));
        assert!(with("198.18.1.1 --mapping x").starts_with("--mapping cannot be `x`"));
        assert!(with("nowhere").contains("--external"));
        let error = parse("run --inside t=10.0.0.2 --outside n --external 198.18.1.1").unwrap_err();
        assert!(error.contains("NAME[=ADDRESS/LENGTH]"), "{error}");
    }
}
