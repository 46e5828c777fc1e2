//! Numbers that a shard changes and any thread reads, in the form that an exporter takes.
//!
//! Each part of the driver has a struct of them ([`UdpStats`](crate::udp::UdpStats),
//! [`TcpStats`](crate::tcp::TcpStats), [`ShardStats`](crate::shard::ShardStats), ...). Its method
//! `visit` gives a [`Sample`] of each, so that an exporter needs no list of names.
//!
//! ```
//! use jackfield_driver::stats::Kind;
//! use jackfield_driver::tcp::TcpStats;
//!
//! let stats = TcpStats::default();
//! stats.accepted.add(3);
//! stats.visit(|sample| {
//!     let suffix = match sample.kind {
//!         Kind::Counter => "_total",
//!         Kind::Gauge => "",
//!     };
//!     println!("# HELP tcp_{} {}", sample.name, sample.help);
//!     println!("tcp_{}{suffix} {}", sample.name, sample.value);
//! });
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows, counted by one thread.
///
/// Two threads that add at the same time may lose one of the two additions: a counter belongs to
/// one shard. In return an addition is a plain load and store, with no locked instruction on a
/// packet's way.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(n);
        self.0.store(sum, Ordering::Relaxed);
    }

    /// Returns the present value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number of what is there at present, changed by one thread as a [`Counter`] is.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(n);
        self.0.store(sum, Ordering::Relaxed);
    }

    /// Takes `n` away; the gauge ends at 0.
    pub fn sub(&self, n: u64) {
        let rest = self.0.load(Ordering::Relaxed).saturating_sub(n);
        self.0.store(rest, Ordering::Relaxed);
    }

    /// Returns the present value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The value of a counter or gauge, and what an exporter has to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The name in `snake_case`. It ends in the unit, if there is one, and has neither a prefix
    /// nor `_total`.
    pub name: &'static str,
    /// What is counted, in words and without a full stop.
    pub help: &'static str,
    /// Whether the value only grows.
    pub kind: Kind,
    /// What the value is measured in.
    pub unit: Unit,
    /// The value.
    pub value: u64,
}

/// Whether a value only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The value only grows, from 0 at the start of the program.
    Counter,
    /// The value rises and falls.
    Gauge,
}

/// What a value is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// The value counts what its name says.
    None,
    /// The value counts bytes.
    Bytes,
}

/// Defines a struct of [`Counter`]s and [`Gauge`]s that lists itself by `visit`.
///
/// A field is `name: Counter` or `name: Gauge`, with ` in Bytes` where it has a unit. Its
/// documentation is the help text of the metric.
macro_rules! counters {
    (
        $(#[$about:meta])* pub struct $name:ident {
            $($(#[doc = $doc:literal])+ $field:ident: $kind:ident $(in $unit:ident)?,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $crate::stats::$kind,)+
        }

        impl $name {
            /// Calls `visit` with a sample of each number, in order of definition.
            pub fn visit(&self, mut visit: impl FnMut($crate::stats::Sample)) {
                $(visit($crate::stats::Sample {
                    name: stringify!($field),
                    help: $crate::stats::help(concat!($($doc),+)),
                    kind: $crate::stats::Kind::$kind,
                    unit: $crate::stats::counters!(@unit $($unit)?),
                    value: self.$field.value(),
                });)+
            }
        }
    };
    (@unit) => { $crate::stats::Unit::None };
    (@unit $unit:ident) => { $crate::stats::Unit::$unit };
}
pub(crate) use counters;

/// Returns a doc comment as the help text of a metric.
pub(crate) fn help(doc: &'static str) -> &'static str {
    doc.trim().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(unreachable_pub, reason = "the macro defines public structs")]
    mod pair {
        super::super::counters! {
            /// Two numbers.
            pub struct Pair {
                /// Bytes that came,
                /// with their headers.
                rx_bytes: Counter in Bytes,
                /// Connections at present.
                open: Gauge,
            }
        }
    }

    #[test]
    fn numbers_list_themselves_with_help_kind_and_unit() {
        let pair = pair::Pair::default();
        pair.rx_bytes.add(3);
        pair.open.add(1);
        pair.open.sub(2);
        let mut seen = Vec::new();
        pair.visit(|sample| seen.push(sample));
        let expected = [
            Sample {
                name: "rx_bytes",
                help: "Bytes that came, with their headers",
                kind: Kind::Counter,
                unit: Unit::Bytes,
                value: 3,
            },
            Sample {
                name: "open",
                help: "Connections at present",
                kind: Kind::Gauge,
                unit: Unit::None,
                value: 0,
            },
        ];
        assert_eq!(seen, expected);
    }
}
