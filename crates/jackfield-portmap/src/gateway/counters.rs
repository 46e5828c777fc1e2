//! The counters of a gateway.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Counts the requests to a gateway and their results.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct GatewayCounters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl GatewayCounters {
            /// Returns every counter with its name in metrics.
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
    /// Granted leases.
    granted = "granted",
    /// Leases that were renewed or changed.
    renewed = "renewed",
    /// Leases that their hosts ended.
    deleted = "deleted",
    /// Leases that expired.
    expired = "expired",
    /// Leases that were lost when the NAT lost its state.
    lost = "lost",
    /// Requests that could not be parsed.
    malformed = "malformed",
    /// Requests refused because the host is not authorized.
    unauthorized = "unauthorized",
    /// Requests refused because the outside endpoint is taken.
    conflicts = "conflicts",
    /// Requests refused because the host has reached its limit.
    over_quota = "over-quota",
    /// Requests refused because no port or lease is left.
    no_resources = "no-resources",
    /// Requests refused for another reason.
    refused = "refused",
    /// Requests ignored because the host sends too many.
    rate_limited = "rate-limited",
    /// Requests from outside, which are ignored.
    from_outside = "from-outside",
    /// Packets to the gateway with a wrong checksum, fragments, and packets to unused ports.
    ignored = "ignored",
    /// Multicast announcements sent.
    announced = "announced",
}
