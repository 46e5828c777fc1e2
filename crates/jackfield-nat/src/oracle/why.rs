//! The oracle's reasons, in words for people who do not know RFC 4787.

use super::{Path, Traits, gets_in, is_dependent, oracle, refuses_new_destinations};
use crate::Filtering;

/// Explains in one or two sentences the path that [`oracle`] predicts between two hosts.
///
/// The text calls the hosts by these names; the chains are those of [`oracle`].
///
/// ```
/// use jackfield_nat::oracle::{Traits, why};
/// use jackfield_nat::profile::Profile;
///
/// let nat = |profile: Profile| [Traits::of(&profile.config(&["203.0.113.1".parse().unwrap()]))];
/// let text = why("ann", &nat(Profile::SYMMETRIC), "bob", &nat(Profile::PORT_RESTRICTED_CONE));
/// assert!(text.starts_with("ann's NAT opens another port towards bob"));
/// ```
#[must_use]
pub fn why(a_name: &str, a: &[Traits], b_name: &str, b: &[Traits]) -> String {
    let (a, b) = (Side::new(a_name, a), Side::new(b_name, b));
    if let Some(blocked) = [&a, &b].into_iter().find(|side| side.is_blocked()) {
        return format!("No UDP leaves {}'s network.", blocked.name);
    }
    match oracle(a.chain, b.chain) {
        Path::Nondeterministic => nondeterministic(&a, &b),
        Path::Direct => direct(&a, &b),
        Path::Relay => relay(&a, &b),
    }
}

/// One of the two hosts.
struct Side<'a> {
    name: &'a str,
    chain: &'a [Traits],
    /// The words for what stands in front of the host.
    nat: &'static str,
    /// Whether the outside endpoint depends on the destination.
    is_dependent: bool,
}

impl<'a> Side<'a> {
    fn new(name: &'a str, chain: &'a [Traits]) -> Self {
        Self {
            name,
            chain,
            nat: if chain.len() > 1 {
                "chain of NATs"
            } else {
                "NAT"
            },
            is_dependent: is_dependent(chain),
        }
    }

    fn is_blocked(&self) -> bool {
        self.chain.iter().any(|nat| nat.blocked)
    }

    fn is_public(&self) -> bool {
        self.chain.is_empty()
    }

    fn is_open(&self) -> bool {
        let open = Filtering::EndpointIndependent;
        self.chain.iter().all(|nat| nat.filtering == open)
    }

    fn refuses_new_destinations(&self) -> bool {
        refuses_new_destinations(self.chain)
    }

    fn is_nondeterministic(&self) -> bool {
        let chancy = |nat: &Traits| {
            nat.arbitrary_pooling || nat.remaps_on_early_inbound || nat.mapping_varies
        };
        self.chain.iter().any(chancy)
    }

    /// Returns whether packets from this side to the learned endpoint of the other get in.
    fn reaches(&self, other: &Self) -> bool {
        gets_in(self.chain, other.chain)
    }
}

fn nondeterministic(a: &Side<'_>, b: &Side<'_>) -> String {
    let chancy = if a.is_nondeterministic() { a } else { b };
    let what = if chancy.chain.iter().any(|nat| nat.remaps_on_early_inbound) {
        "chooses another port when the other side's first packet comes early"
    } else if chancy.chain.iter().any(|nat| nat.arbitrary_pooling) {
        "may give each conversation another address"
    } else {
        "keeps a port only while no other host uses it"
    };
    format!(
        "It depends on chance: {}'s {} {what}.",
        chancy.name, chancy.nat
    )
}

fn direct(a: &Side<'_>, b: &Side<'_>) -> String {
    for (host, other) in [(a, b), (b, a)] {
        if host.is_public() && !other.refuses_new_destinations() {
            return format!(
                "{} has a public address: what {} sends arrives, and the answer goes back the way it came.",
                host.name, other.name
            );
        }
    }
    if !a.is_dependent && !b.is_dependent {
        return format!(
            "Both keep one outside endpoint for all destinations. {} and {} send to the endpoint that the STUN server \
             saw of the other, and their own packets open their filters for each other.",
            a.name, b.name
        );
    }
    let (sender, receiver) = if a.reaches(b) { (a, b) } else { (b, a) };
    if receiver.is_open() {
        return format!(
            "{}'s {} admits any remote at the endpoint that the STUN server saw, so what {} sends there arrives, from \
             whatever port, and the answer goes back the way it came.",
            receiver.name, receiver.nat, sender.name
        );
    }
    format!(
        "{}'s {} opens another port towards {} than the STUN server saw, but {}'s {} looks at the address alone: the \
         packets get in, and the answers go to where they came from.",
        sender.name, sender.nat, receiver.name, receiver.name, receiver.nat
    )
}

fn relay(a: &Side<'_>, b: &Side<'_>) -> String {
    if let Some(refusing) = [a, b]
        .into_iter()
        .find(|side| side.refuses_new_destinations())
    {
        return format!(
            "{}'s {} refuses a second conversation from a port that it has given to the STUN server.",
            refusing.name, refusing.nat
        );
    }
    match (a.is_dependent, b.is_dependent) {
        (true, true) => format!(
            "Both NATs open another port for each destination. What {} and {} learned from the STUN server is not where \
             the other's packets come from, nor where they get in.",
            a.name, b.name
        ),
        (true, false) => stranger(a, b),
        (false, true) => stranger(b, a),
        (false, false) => format!(
            "Neither {}'s first packet gets in nor {}'s.",
            a.name, b.name
        ),
    }
}

/// Explains a pair in which the packets of `symmetric` come from an unpredictable port, and the
/// NAT of `strict` lets in only ports that it has sent to.
fn stranger(symmetric: &Side<'_>, strict: &Side<'_>) -> String {
    format!(
        "{}'s {} opens another port towards {} than the STUN server saw, and {}'s {} lets in only those exact ports \
         that {} has sent to. {}'s own packets go to the port that is for the STUN server alone.",
        symmetric.name,
        symmetric.nat,
        strict.name,
        strict.name,
        strict.nat,
        strict.name,
        strict.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mapping;

    const EIM: Mapping = Mapping::EndpointIndependent;
    const APDM: Mapping = Mapping::AddressAndPortDependent;
    const EIF: Filtering = Filtering::EndpointIndependent;
    const ADF: Filtering = Filtering::AddressDependent;
    const APDF: Filtering = Filtering::AddressAndPortDependent;

    fn of(a: &[Traits], b: &[Traits]) -> String {
        why("ann", a, "bob", b)
    }

    #[test]
    fn the_reason_names_the_side_that_it_lies_with() {
        let symmetric = [Traits::plain(APDM, APDF)];
        let strict = [Traits::plain(EIM, APDF)];
        let relay = "'s NAT opens another port towards ";
        assert!(of(&symmetric, &strict).starts_with(&format!("ann{relay}bob")));
        assert!(of(&strict, &symmetric).starts_with(&format!("bob{relay}ann")));
        assert!(of(&symmetric, &symmetric).starts_with("Both NATs open another port"));
        assert!(of(&strict, &strict).starts_with("Both keep one outside endpoint"));
    }

    #[test]
    fn an_open_filter_is_explained_by_the_side_that_has_it() {
        let symmetric = [Traits::plain(APDM, APDF)];
        assert!(
            of(&symmetric, &[Traits::plain(EIM, EIF)]).starts_with("bob's NAT admits any remote")
        );
        assert!(
            of(&symmetric, &[Traits::plain(EIM, ADF)])
                .contains("bob's NAT looks at the address alone")
        );
        assert!(of(&symmetric, &[]).starts_with("bob has a public address"));
    }

    #[test]
    fn chance_and_firewalls_are_explained_too() {
        let linux = [Traits {
            remaps_on_early_inbound: true,
            ..Traits::plain(EIM, APDF)
        }];
        assert!(
            of(&linux, &linux).starts_with("It depends on chance: ann's NAT chooses another port")
        );
        let walled = [Traits {
            blocked: true,
            ..Traits::plain(EIM, APDF)
        }];
        assert_eq!(of(&[], &walled), "No UDP leaves bob's network.");
    }
}
