use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Lets each host have so many requests in a second.
#[derive(Debug, Clone, Default)]
pub(super) struct Rates {
    second: Option<Instant>,
    hosts: BTreeMap<IpAddr, u32>,
}

impl Rates {
    pub(super) fn passes(&mut self, now: Instant, host: IpAddr, most: u32) -> bool {
        let fresh = self
            .second
            .is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1));
        if fresh {
            self.second = Some(now);
            self.hosts.clear();
        }
        if self.hosts.len() >= HOSTS && !self.hosts.contains_key(&host) {
            return false;
        }
        let asked = self.hosts.entry(host).or_insert(0);
        *asked += 1;
        *asked <= most
    }
}

/// How many hosts are told apart in a second; a network with more of them is one host with many faces.
const HOSTS: usize = 4096;
