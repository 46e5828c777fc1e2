//! The command line as clap knows it: help, completions and man pages come from here.

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::{KEYS, Kind, Low, Source};

/// Returns the whole command line; help, completions and man pages come from it.
#[must_use]
pub fn command() -> Command {
    let root = Command::new("jackfield")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Socket.IO, WebRTC signaling, STUN and TURN in one binary on one port")
        .long_about(
            "Socket.IO, WebRTC signaling, STUN and TURN in one binary on one port.\n\n\
             Without a subcommand it serves: see `jackfield serve --help`.",
        )
        .args_conflicts_with_subcommands(true)
        .subcommand(serve())
        .subcommand(super::peer::connect_command())
        .subcommand(super::peer::send_command())
        .subcommand(super::peer::receive_command())
        .subcommand(super::doctor::command())
        .subcommand(super::stun::command())
        .subcommand(credentials())
        .subcommand(config())
        .subcommand(super::generate::completions_command())
        .subcommand(super::generate::man_command());
    #[cfg(target_os = "linux")]
    let root = root
        .subcommand(super::nat::command())
        .subcommand(super::lab::command());
    // `jackfield --listen ...` is `jackfield serve --listen ...`; help shows the flags at one place
    // only.
    serve_arguments()
        .into_iter()
        .fold(root, |root, argument| root.arg(argument.hide(true)))
}

fn serve() -> Command {
    Command::new("serve")
        .about("Serves everything; with no flag and no file it works on a laptop")
        .after_help(
            "Every flag is also a key of the configuration file and an environment variable:\n\
             --relay-ports is `relay-ports` in the file and JACKFIELD_RELAY_PORTS.\n\
             The limits are in `--help`, and `jackfield config explain` lists all keys.\n\n\
             Examples:\n  \
             jackfield\n  \
             jackfield serve --listen 0.0.0.0:3478 --external-ip 203.0.113.7\n  \
             jackfield serve --listen-tls 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem\n  \
             jackfield serve --config /etc/jackfield.toml",
        )
        .args(serve_arguments())
}

fn serve_arguments() -> Vec<Arg> {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .env("JACKFIELD_CONFIG")
        .help("Reads configuration from this TOML file.");
    let keys = KEYS.iter().map(|key| {
        let argument = Arg::new(key.name).long(key.name);
        let help = match key.default {
            "" | "false" => key.doc.to_owned(),
            default => format!("{} [default: {default}]", key.doc),
        };
        let argument = argument
            .help(help)
            .help_heading(key.group.heading())
            .hide_short_help(key.group.is_limits());
        match key.kind {
            Kind::Switch => argument.action(ArgAction::SetTrue),
            Kind::Many | Kind::Secrets => argument.value_name(key.value).action(ArgAction::Append),
            Kind::One => argument.value_name(key.value).action(ArgAction::Set),
        }
    });
    std::iter::once(config).chain(keys).collect()
}

fn credentials() -> Command {
    Command::new("credentials")
        .about("Mints time-limited TURN credentials")
        .after_help(
            "The same secret, user and time always give the same credentials; any server that holds the secret\n\
             accepts them, coturn with use-auth-secret too.\n\n\
             Examples:\n  \
             jackfield credentials --secret-file /etc/jackfield/secret --user ann\n  \
             jackfield credentials --ttl 10m --host turn.example.org:3478 --json",
        )
        .arg(
            Arg::new("secret")
                .long("secret")
                .value_name("SECRET")
                .env("JACKFIELD_SECRET")
                .hide_env_values(true)
                .help("The shared secret; by default the one in the data directory."),
        )
        .arg(
            Arg::new("secret-file")
                .long("secret-file")
                .value_name("FILE")
                .env("JACKFIELD_SECRET_FILE")
                .help("Reads the shared secret from this file's first line."),
        )
        .arg(
            Arg::new("data-dir")
                .long("data-dir")
                .value_name("DIR")
                .env("JACKFIELD_DATA_DIR")
                .help("Where the generated secret is kept."),
        )
        .arg(
            Arg::new("user")
                .long("user")
                .value_name("NAME")
                .default_value("")
                .help("A name to carry in the user name, for logs and quotas; random by default."),
        )
        .arg(
            Arg::new("ttl")
                .long("ttl")
                .value_name("TIME")
                .default_value("1h")
                .help("How long they last, such as 10m or 12h."),
        )
        .arg(
            Arg::new("host")
                .long("host")
                .value_name("HOST[:PORT]")
                .default_value("localhost:3478")
                .help("The server to name in the iceServers JSON."),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Prints the iceServers JSON alone."),
        )
}

fn config() -> Command {
    Command::new("config")
        .about("Checks and explains configuration")
        .subcommand_required(true)
        .subcommand(
            Command::new("check")
                .about("Says whether a configuration would be accepted, and by which line not")
                .after_help("Examples:\n  jackfield config check --config /etc/jackfield.toml")
                .args(serve_arguments()),
        )
        .subcommand(
            Command::new("explain")
                .about("Says what a key does, what it accepts and what it is by default")
                .after_help(
                    "Examples:\n  jackfield config explain\n  jackfield config explain relay-ports",
                )
                .arg(
                    Arg::new("key")
                        .value_name("KEY")
                        .help("One key; all of them without it."),
                )
                .arg(super::json()),
        )
}

/// Puts the flags of `matches` into `low`.
pub(super) fn read_flags(matches: &ArgMatches, low: &mut Low) {
    for key in KEYS {
        let values: Vec<String> = match key.kind {
            Kind::Switch if matches.get_flag(key.name) => vec!["true".to_owned()],
            Kind::Switch => continue,
            _ => match matches.get_many::<String>(key.name) {
                Some(values) => values.cloned().collect(),
                None => continue,
            },
        };
        low.set(key, Source::Flag, values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn help_has_a_heading_for_each_group_and_keeps_limits_out_of_the_short_form() {
        let mut serve = command();
        let serve = serve.find_subcommand_mut("serve").unwrap();
        let (short, long) = (
            serve.render_help().to_string(),
            serve.render_long_help().to_string(),
        );
        for key in KEYS {
            let heading = format!("{}:\n", key.group.heading());
            let flag = format!("--{}", key.name);
            assert!(long.contains(&heading) && long.contains(&flag), "{flag}");
            assert_eq!(short.contains(&flag), !key.group.is_limits(), "{flag}");
        }
    }

    #[test]
    fn serve_is_what_happens_without_a_subcommand() {
        let matches = command()
            .try_get_matches_from([
                "jackfield",
                "--listen",
                "127.0.0.1:1",
                "--listen",
                "[::1]:2",
            ])
            .unwrap();
        let mut low = Low::default();
        read_flags(&matches, &mut low);
        let listen = crate::config::Key::find("listen").unwrap();
        assert_eq!(low.get(listen).unwrap().1, ["127.0.0.1:1", "[::1]:2"]);
    }
}
