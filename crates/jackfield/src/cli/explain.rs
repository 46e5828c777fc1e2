//! `jackfield config explain`: what each key does and accepts.

use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::json;

use super::{say, wrong_use};
use crate::config::{KEYS, Key};

/// Says what one key, or every key, does and accepts.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    let keys: Vec<&Key> = match matches.get_one::<String>("key") {
        None => KEYS.to_vec(),
        Some(name) => match Key::find(name) {
            Some(key) => vec![key],
            None => {
                return wrong_use(&match Key::nearest(name) {
                    Some(near) => format!("unknown key `{name}`; did you mean `{near}`?"),
                    None => {
                        format!("unknown key `{name}`; `jackfield config explain` lists the keys")
                    }
                });
            }
        },
    };
    if matches.get_flag("json") {
        let list: Vec<_> = keys.into_iter().map(as_json).collect();
        say(&json!(list).to_string());
    } else {
        for key in keys {
            say(&as_text(key));
        }
    }
    ExitCode::SUCCESS
}

fn as_text(key: &Key) -> String {
    let default = match key.default {
        "" => "none",
        default => default,
    };
    format!(
        "{}\n    {}\n    accepts:  {}\n    default:  {default}\n    variable: {}\n",
        key.name,
        key.doc,
        key.accepts,
        key.variable()
    )
}

fn as_json(key: &Key) -> serde_json::Value {
    json!({
        "key": key.name,
        "doc": key.doc,
        "accepts": key.accepts,
        "default": key.default,
        "variable": key.variable(),
        "repeatable": key.kind.is_many(),
    })
}
