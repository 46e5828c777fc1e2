//! The settings of the link between a NAT and the outside.

use std::time::Duration;

use jackfield_router::{Link, Loss, UplinkConfig};

use super::change::{Change, SettingError, refused};
use super::values;

/// What the link between a NAT and the outside does to packets, in each direction.
///
/// It is the link of the virtual internet ([`Link`]), in the units that people write. By default
/// it does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSettings {
    /// How long a packet travels, one way.
    pub latency: Duration,
    /// By how much longer a packet may travel; packets do not overtake each other for it.
    pub jitter: Duration,
    /// The share of packets that get lost, in parts of a million.
    pub loss: u32,
    /// How many packets in a row get lost, on average. With 1 each loss is independent.
    pub loss_burst: u32,
    /// The share of packets that overtake those before them, in parts of a million.
    pub reorder: u32,
    /// The share of packets that arrive twice, in parts of a million.
    pub duplicate: u32,
    /// Bits a second; `None` is without limit.
    pub rate: Option<u64>,
    /// How many bytes may wait for their turn on a link with a rate.
    pub queue: usize,
    /// Whether UDP is dropped.
    pub block_udp: bool,
}

impl Default for LinkSettings {
    fn default() -> Self {
        let link = Link::default();
        Self {
            latency: link.latency,
            jitter: link.jitter,
            loss: 0,
            loss_burst: 1,
            reorder: link.reorder,
            duplicate: link.duplicate,
            rate: link.rate,
            queue: link.queue,
            block_udp: false,
        }
    }
}

impl LinkSettings {
    /// Returns what a router needs to know of the link.
    #[must_use]
    pub fn config(&self) -> UplinkConfig {
        // A link that loses everything has no bursts: the good state never comes back.
        let loss = match self.loss_burst {
            burst if burst > 1 && self.loss < MILLION => Loss::bursts(self.loss, burst),
            _ => Loss::even(self.loss),
        };
        UplinkConfig {
            link: Link {
                latency: self.latency,
                jitter: self.jitter,
                loss,
                reorder: self.reorder,
                duplicate: self.duplicate,
                rate: self.rate,
                queue: self.queue,
                ..Link::default()
            },
            block_udp: self.block_udp,
        }
    }

    /// Returns what the link does, in a few words each; nothing for a perfect link.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let mut words = Vec::new();
        if !self.latency.is_zero() {
            words.push(format!("{:?} away", self.latency));
        }
        if !self.jitter.is_zero() {
            words.push(format!("jitter up to {:?}", self.jitter));
        }
        if self.loss > 0 {
            let mut loss = format!("loses {} %", percent(self.loss));
            if self.loss_burst > 1 {
                loss += &format!(" in bursts of {}", self.loss_burst);
            }
            words.push(loss);
        }
        if self.reorder > 0 {
            words.push(format!("reorders {} %", percent(self.reorder)));
        }
        if self.duplicate > 0 {
            words.push(format!("duplicates {} %", percent(self.duplicate)));
        }
        if let Some(rate) = self.rate {
            words.push(values::rate_text(rate));
        }
        if self.block_udp {
            words.push("UDP blocked".to_owned());
        }
        words
    }

    /// Changes what a change names.
    pub(super) fn apply(&mut self, change: &Change) -> Result<(), SettingError> {
        if let Some(text) = &change.latency {
            self.latency = values::time("latency", text, Duration::ZERO, MAX_LATENCY)?;
        }
        if let Some(text) = &change.jitter {
            self.jitter = values::time("jitter", text, Duration::ZERO, MAX_LATENCY)?;
        }
        if let Some(text) = &change.loss {
            self.loss = values::percent("loss", text)?;
        }
        if let Some(text) = &change.loss_burst {
            self.loss_burst = values::count("loss-burst", text, 1..=MAX_LOSS_BURST)?;
        }
        if let Some(text) = &change.reorder {
            self.reorder = values::percent("reorder", text)?;
        }
        if let Some(text) = &change.duplicate {
            self.duplicate = values::percent("duplicate", text)?;
        }
        if let Some(text) = &change.rate {
            self.rate = values::rate("rate", text)?;
        }
        if let Some(text) = &change.queue {
            self.queue = values::bytes("queue", text, MIN_QUEUE..=MAX_QUEUE)?;
        }
        if let Some(block) = change.block_udp {
            self.block_udp = block;
        }
        self.check_bursts()
    }

    /// Checks that the loss can be had in bursts of that length.
    ///
    /// Between two bursts at least one packet arrives, so bursts of `n` lose at most `n` packets
    /// of `n + 1`. The simulator would silently lose less than was asked for.
    fn check_bursts(&self) -> Result<(), SettingError> {
        let burst = u64::from(self.loss_burst);
        let most = u64::from(MILLION) * burst / (burst + 1);
        if burst == 1 || self.loss == MILLION || u64::from(self.loss) <= most {
            return Ok(());
        }
        let accepted = format!(
            "a percentage up to {} when losses come in bursts of {burst}, or 100",
            percent(most as u32)
        );
        Err(refused("loss", &percent(self.loss).to_string(), accepted))
    }
}

/// Returns parts of a million as a percentage.
pub(super) fn percent(parts: u32) -> f64 {
    f64::from(parts) / 10_000.0
}

const MILLION: u32 = 1_000_000;
/// Far longer than any real link delays a packet; RFC 9293 takes two minutes for the longest life
/// of a segment.
const MAX_LATENCY: Duration = Duration::from_secs(60);
const MAX_LOSS_BURST: u32 = 10_000;
/// A queue has room for a packet of 1500 bytes, or nothing would ever pass.
const MIN_QUEUE: usize = 2_048;
/// What a router keeps of packets under way is limited to as much.
const MAX_QUEUE: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_becomes_the_link_of_the_virtual_internet() {
        let link = changed(&[
            ("latency", "20ms"),
            ("jitter", "5ms"),
            ("loss", "2%"),
            ("loss-burst", "4"),
            ("reorder", "0.5"),
            ("duplicate", "1"),
            ("rate", "10mbit"),
            ("queue", "32KiB"),
        ]);
        let wanted = Link {
            latency: Duration::from_millis(20),
            jitter: Duration::from_millis(5),
            loss: Loss::bursts(20_000, 4),
            reorder: 5_000,
            duplicate: 10_000,
            rate: Some(10_000_000),
            queue: 32 * 1024,
            ..Link::default()
        };
        assert_eq!(link.unwrap().config().link, wanted);
    }

    #[test]
    fn by_default_a_link_does_nothing() {
        let link = LinkSettings::default();
        assert_eq!(link.config(), UplinkConfig::default());
        assert_eq!(link.describe(), Vec::<String>::new());
    }

    #[test]
    fn loss_and_the_length_of_its_bursts_change_one_without_the_other() {
        let bursts = changed(&[("loss", "10"), ("loss-burst", "3")]).unwrap();
        let mut more = bursts.clone();
        more.apply(&change(&[("loss", "20")])).unwrap();
        assert_eq!(more.config().link.loss, Loss::bursts(200_000, 3));
        let mut even = bursts;
        even.apply(&change(&[("loss-burst", "1")])).unwrap();
        assert_eq!(even.config().link.loss, Loss::even(100_000));
    }

    #[test]
    fn bursts_lose_on_average_what_was_asked_for() {
        for (loss, burst) in [("0.1", "2"), ("10", "5"), ("50", "20"), ("80", "4")] {
            let link = changed(&[("loss", loss), ("loss-burst", burst)]).unwrap();
            let mean = link.config().link.loss.mean();
            let off = mean.abs_diff(link.loss);
            assert!(off <= link.loss / 1000 + 1, "{loss} in {burst}: {mean}");
        }
    }

    #[test]
    fn more_loss_than_bursts_can_cause_is_refused() {
        let error = changed(&[("loss", "81"), ("loss-burst", "4")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "loss cannot be `81`: accepted is a percentage up to 80 when losses come in bursts of 4, \
             or 100"
        );
        // Nothing arrives between the bursts of a dead link.
        let dead = changed(&[("loss", "100"), ("loss-burst", "4")]).unwrap();
        assert_eq!(dead.config().link.loss, Loss::even(MILLION));
    }

    #[test]
    fn a_rate_can_be_taken_away_again() {
        let mut link = changed(&[("rate", "512kbit")]).unwrap();
        assert_eq!(link.rate, Some(512_000));
        link.apply(&change(&[("rate", "none")])).unwrap();
        assert_eq!(link.rate, None);
    }

    #[test]
    fn a_link_is_described_in_the_words_of_its_settings() {
        let link = changed(&[
            ("latency", "20ms"),
            ("jitter", "5ms"),
            ("loss", "1.5"),
            ("loss-burst", "3"),
            ("reorder", "2"),
            ("duplicate", "0.1"),
            ("rate", "1500kbit"),
            ("block-udp", "true"),
        ]);
        assert_eq!(
            link.unwrap().describe().join(", "),
            "20ms away, jitter up to 5ms, loses 1.5 % in bursts of 3, reorders 2 %, \
             duplicates 0.1 %, 1500kbit, UDP blocked"
        );
    }

    fn changed(values: &[(&str, &str)]) -> Result<LinkSettings, SettingError> {
        let mut link = LinkSettings::default();
        link.apply(&change(values)).map(|()| link)
    }

    fn change(values: &[(&str, &str)]) -> Change {
        let mut change = Change::default();
        for (key, value) in values {
            assert_eq!(change.set(key, value), Ok(true), "{key}");
        }
        change
    }
}
