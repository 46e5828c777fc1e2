macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What a gateway was asked, and what came of it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct GatewayCounters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl GatewayCounters {
            /// Returns every counter with its name as metrics show it.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$(($text, self.$name),)*]
            }
        }
    };
}

counters! {
    /// NAT-PMP requests.
    nat_pmp = "nat-pmp",
    /// PCP requests.
    pcp = "pcp",
    /// UPnP searches.
    upnp_searches = "upnp-searches",
    /// UPnP requests over HTTP.
    upnp_requests = "upnp-requests",
    /// Leases given out.
    granted = "granted",
    /// Leases prolonged or changed.
    renewed = "renewed",
    /// Leases that their hosts ended.
    deleted = "deleted",
    /// Leases that ended by themselves.
    expired = "expired",
    /// Leases that the NAT forgot with everything else.
    lost = "lost",
    /// Requests that could not be parsed.
    malformed = "malformed",
    /// Requests refused for what they ask is not for this host, or for nobody, to ask.
    unauthorized = "unauthorized",
    /// Requests refused for the outside endpoint is taken.
    conflicts = "conflicts",
    /// Requests refused for the host has all it may have.
    over_quota = "over-quota",
    /// Requests refused for there is no more to give.
    no_resources = "no-resources",
    /// Requests refused for another reason.
    refused = "refused",
    /// Requests ignored for the host sends too many.
    rate_limited = "rate-limited",
    /// Requests from outside, ignored.
    from_outside = "from-outside",
    /// Packets to the gateway with a wrong checksum, fragments, and what else nobody listens for.
    ignored = "ignored",
    /// Multicast announcements sent.
    announced = "announced",
}
