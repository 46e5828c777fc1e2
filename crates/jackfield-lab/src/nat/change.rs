//! A change of a router's settings, in the texts that people write.

use serde::{Deserialize, Serialize};

/// New values for some settings; those that are absent stay as they are.
///
/// The values are texts, so that files, flags and the control socket accept the same ones and
/// refuse them with the same words. [`Settings::changed`](super::Settings::changed) reads them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Change {
    /// A profile's name; undoes earlier changes of single behaviours.
    pub profile: Option<String>,
    /// The mapping of UDP and TCP.
    pub mapping: Option<String>,
    /// The filtering of UDP and TCP.
    pub filtering: Option<String>,
    /// What happens to packets from inside to an outside address of the NAT.
    pub hairpinning: Option<String>,
    /// How long idle UDP mappings live.
    pub udp_timeout: Option<String>,
    /// How many mappings a host may make in a second.
    pub new_mappings_per_host: Option<String>,
    /// How many flows a host may start in a second.
    pub new_flows_per_host: Option<String>,
    /// What is refused, whatever the NAT would do.
    pub firewall: Option<String>,
    /// How long a packet travels on the link between the NAT and the outside, one way.
    pub latency: Option<String>,
    /// By how much longer a packet may travel there.
    pub jitter: Option<String>,
    /// The share of packets that get lost there, in percent.
    pub loss: Option<String>,
    /// How many packets in a row get lost there, on average.
    pub loss_burst: Option<String>,
    /// The share of packets that overtake those before them, in percent.
    pub reorder: Option<String>,
    /// The share of packets that arrive twice, in percent.
    pub duplicate: Option<String>,
    /// How many bits a second the link carries, each way.
    pub rate: Option<String>,
    /// How many bytes may wait for their turn on a link with a rate.
    pub queue: Option<String>,
    /// Whether the link drops UDP.
    pub block_udp: Option<bool>,
    /// In which protocols hosts inside may ask for ports.
    pub port_mapping: Option<String>,
}

impl Change {
    /// The names of all settings, as files and flags spell them.
    pub const KEYS: [&'static str; 18] = [
        "profile",
        "mapping",
        "filtering",
        "hairpinning",
        "udp-timeout",
        "new-mappings-per-host",
        "new-flows-per-host",
        "firewall",
        "latency",
        "jitter",
        "loss",
        "loss-burst",
        "reorder",
        "duplicate",
        "rate",
        "queue",
        "block-udp",
        "port-mapping",
    ];

    /// Returns the change that a NAT in one word asks for: a profile, or a mapping and a filtering
    /// with a slash between them. The values are read later.
    #[must_use]
    pub fn of_nat(text: &str) -> Self {
        match text.split_once('/') {
            Some((mapping, filtering)) => Self {
                mapping: Some(mapping.to_owned()),
                filtering: Some(filtering.to_owned()),
                ..Self::default()
            },
            None => Self {
                profile: Some(text.to_owned()),
                ..Self::default()
            },
        }
    }

    /// Sets a value by the name of its setting. Returns whether there is such a setting.
    ///
    /// # Errors
    /// Fails when `block-udp` is neither `true` nor `false`. Other values are read later.
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool, SettingError> {
        let field = match key {
            "profile" => &mut self.profile,
            "mapping" => &mut self.mapping,
            "filtering" => &mut self.filtering,
            "hairpinning" => &mut self.hairpinning,
            "udp-timeout" => &mut self.udp_timeout,
            "new-mappings-per-host" => &mut self.new_mappings_per_host,
            "new-flows-per-host" => &mut self.new_flows_per_host,
            "firewall" => &mut self.firewall,
            "latency" => &mut self.latency,
            "jitter" => &mut self.jitter,
            "loss" => &mut self.loss,
            "loss-burst" => &mut self.loss_burst,
            "reorder" => &mut self.reorder,
            "duplicate" => &mut self.duplicate,
            "rate" => &mut self.rate,
            "queue" => &mut self.queue,
            "block-udp" => {
                let block = value.trim().parse();
                let block = block.map_err(|_| refused("block-udp", value, "true or false"))?;
                self.block_udp = Some(block);
                return Ok(true);
            }
            "port-mapping" => &mut self.port_mapping,
            _ => return Ok(false),
        };
        *field = Some(value.to_owned());
        Ok(true)
    }
}

/// A value that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} cannot be `{value}`: accepted is {accepted}")]
pub struct SettingError {
    /// The name of the setting.
    pub key: &'static str,
    /// The value.
    pub value: String,
    /// The values that are accepted.
    pub accepted: String,
}

pub(super) fn refused(key: &'static str, value: &str, accepted: impl Into<String>) -> SettingError {
    SettingError {
        key,
        value: value.to_owned(),
        accepted: accepted.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn every_key_is_settable_and_is_a_field_of_the_json() {
        for key in Change::KEYS {
            let value = if key == "block-udp" { "true" } else { "x" };
            let mut change = Change::default();
            assert_eq!(change.set(key, value), Ok(true), "{key}");
            let mut json = serde_json::to_value(&change).unwrap();
            let fields = json.as_object_mut().unwrap();
            assert_eq!(fields.len(), Change::KEYS.len());
            let set = fields.remove(key).unwrap();
            assert_ne!(set, Value::Null, "{key}");
            assert!(
                fields.values().all(Value::is_null),
                "{key} sets another field, too"
            );
        }
    }

    #[test]
    fn a_key_that_does_not_exist_changes_nothing() {
        let mut change = Change::default();
        for key in ["speed", "udp_timeout", "Loss", ""] {
            assert_eq!(change.set(key, "1"), Ok(false), "{key}");
        }
        assert_eq!(change, Change::default());
    }

    #[test]
    fn block_udp_is_true_or_false() {
        let mut change = Change::default();
        let error = change.set("block-udp", "yes").unwrap_err().to_string();
        assert_eq!(
            error,
            "block-udp cannot be `yes`: accepted is true or false"
        );
        assert_eq!(change.block_udp, None);
        assert_eq!(change.set("block-udp", "false"), Ok(true));
        assert_eq!(change.block_udp, Some(false));
    }

    #[test]
    fn a_request_over_the_socket_may_leave_out_all_but_what_it_changes() {
        let change: Change = serde_json::from_value(json!({"loss-burst": "4"})).unwrap();
        let wanted = Change {
            loss_burst: Some("4".into()),
            ..Change::default()
        };
        assert_eq!(change, wanted);
        let typo = serde_json::from_value::<Change>(json!({"udp-time-out": "3s"}));
        assert!(typo.unwrap_err().to_string().contains("udp-time-out"));
    }
}
