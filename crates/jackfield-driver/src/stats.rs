use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread counts up and any thread may read.
///
/// Two threads that add at the same time may lose one of the two additions: a counter belongs to one shard. In return an
/// addition is a plain load and store, with no locked instruction on a packet's way.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(n);
        self.0.store(sum, Ordering::Relaxed);
    }

    /// Takes `n` away, for counts of what is there at present.
    pub fn sub(&self, n: u64) {
        let rest = self.0.load(Ordering::Relaxed).saturating_sub(n);
        self.0.store(rest, Ordering::Relaxed);
    }

    /// Returns the present value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Defines a struct of [`Counter`]s that can list itself by name, so that a metrics page never misses a new one.
macro_rules! counters {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$doc:meta])* $field:ident,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub struct $name {
            $($(#[$doc])* pub $field: $crate::stats::Counter,)+
        }

        impl $name {
            /// Calls `visit` with the name and value of each counter, in order of definition.
            pub fn visit(&self, mut visit: impl FnMut(&'static str, u64)) {
                $(visit(stringify!($field), self.$field.value());)+
            }
        }
    };
}
pub(crate) use counters;

#[cfg(test)]
mod tests {
    #[expect(unreachable_pub, reason = "the macro defines public structs")]
    mod pair {
        super::super::counters! {
            /// Two counters.
            pub struct Pair {
                /// Left.
                left,
                /// Right.
                right,
            }
        }
    }

    #[test]
    fn counters_list_themselves_by_name() {
        let pair = pair::Pair::default();
        pair.left.add(3);
        pair.right.add(1);
        pair.right.sub(2);
        let mut seen = Vec::new();
        pair.visit(|name, value| seen.push((name, value)));
        assert_eq!(seen, [("left", 3), ("right", 0)]);
    }
}
