//! UPnP discovery: answers searches and advertises the gateway.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_nat::Nat;
use jackfield_nat::packet::Datagram;

use super::Gateway;
use crate::upnp::description::ROOT;
use crate::upnp::ssdp::{Advertisement, Search};
use crate::upnp::{SSDP_GROUP, SSDP_PORT, Url};

impl Gateway {
    /// Answers a search at once: the random delay of UPnP is for networks with many devices.
    pub(super) fn answer_search(&mut self, nat: &Nat, searcher: SocketAddr, bytes: &[u8]) {
        let (Some(own), Some(search)) = (nat.config().inside, Search::decode(bytes)) else {
            self.counters.malformed += 1;
            return;
        };
        self.counters.upnp_searches += 1;
        let all = search.target == "ssdp:all";
        for advertisement in self.advertisements(own) {
            if all || advertisement.target == search.target {
                let data = advertisement.encode_answer(SERVER);
                self.outbox.push_back(Datagram {
                    source: SocketAddr::new(own, SSDP_PORT),
                    destination: searcher,
                    data,
                });
            }
        }
    }

    /// Advertises the gateway by multicast, before the previous advertisement expires.
    pub(super) fn notify(&mut self, now: Instant, nat: &Nat) {
        if self.next_notify.is_none_or(|due| due > now) {
            return;
        }
        // Half of the time leaves room for one advertisement that gets lost.
        self.next_notify = Some(now + self.config.advertisement / 2);
        if let Some(own @ IpAddr::V4(_)) = nat.config().inside {
            self.notify_all(own, true);
        }
    }

    /// Announces by multicast that the gateway goes (`ssdp:byebye`).
    pub(super) fn say_goodbye(&mut self, nat: &Nat) {
        if let (true, Some(own @ IpAddr::V4(_))) = (self.config.dialects.upnp, nat.config().inside)
        {
            self.notify_all(own, false);
        }
    }

    fn notify_all(&mut self, own: IpAddr, is_here: bool) {
        for mut advertisement in self.advertisements(own) {
            if !is_here {
                advertisement.location = None;
            }
            self.counters.announced += 1;
            self.outbox.push_back(Datagram {
                source: SocketAddr::new(own, SSDP_PORT),
                destination: SocketAddr::from((SSDP_GROUP, SSDP_PORT)),
                data: advertisement.encode_notify(SERVER),
            });
        }
    }

    fn advertisements(&self, own: IpAddr) -> Vec<Advertisement> {
        let location = Url {
            host: SocketAddr::new(own, self.config.http_port),
            path: ROOT.to_owned(),
        };
        let max_age = u32::try_from(self.config.advertisement.as_secs()).unwrap_or(u32::MAX);
        let advertisement = |(target, udn): (String, String)| {
            let usn = if target == udn {
                udn
            } else {
                format!("{udn}::{target}")
            };
            Advertisement {
                target,
                usn,
                location: Some(location.clone()),
                max_age,
            }
        };
        self.description
            .targets()
            .into_iter()
            .map(advertisement)
            .collect()
    }
}

/// The `SERVER` field: system, UPnP version and product, as UPnP Device Architecture requires.
pub(super) const SERVER: &str = "jackfield UPnP/1.1 jackfield/1";
