//! Who is in a room, or in the lobby, and under which name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::MemberId;

/// A set of members in which a name means one of them.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// In the order of connection, as member numbers only grow.
    entries: BTreeMap<MemberId, Entry>,
    names: BTreeMap<Arc<str>, MemberId>,
    arrivals: u64,
}

#[derive(Debug)]
struct Entry {
    /// `None` only in the lobby; a room is entered by name.
    name: Option<Arc<str>>,
    /// Of any two members the one with the higher number is the polite one.
    arrival: u64,
}

impl Scope {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn has(&self, member: MemberId) -> bool {
        self.entries.contains_key(&member)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = MemberId> {
        self.entries.keys().copied()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (MemberId, Option<&str>)> {
        self.entries
            .iter()
            .map(|(member, entry)| (*member, entry.name.as_deref()))
    }

    pub(crate) fn name_of(&self, member: MemberId) -> Option<&str> {
        self.entries.get(&member)?.name.as_deref()
    }

    pub(crate) fn find(&self, name: &str) -> Option<MemberId> {
        self.names.get(name).copied()
    }

    pub(crate) fn arrived_after(&self, member: MemberId, other: MemberId) -> bool {
        let arrival = |member| self.entries.get(&member).map(|entry| entry.arrival);
        arrival(member) > arrival(other)
    }

    /// Seats a newcomer; the name must be free.
    pub(crate) fn insert(&mut self, member: MemberId, name: Option<Arc<str>>) {
        // The member's number would not do: a member that connected first may join last.
        self.arrivals += 1;
        let arrival = self.arrivals;
        if let Some(name) = &name {
            self.names.insert(name.clone(), member);
        }
        self.entries.insert(member, Entry { name, arrival });
    }

    /// Gives a seated member another name, which must be free.
    pub(crate) fn rename(&mut self, member: MemberId, name: Arc<str>) {
        if let Some(entry) = self.entries.get_mut(&member) {
            if let Some(old) = entry.name.replace(name.clone()) {
                self.names.remove(&old);
            }
            self.names.insert(name, member);
        }
    }

    /// Takes a member out and returns whether it was in, with its name.
    pub(crate) fn remove(&mut self, member: MemberId) -> Option<Option<Arc<str>>> {
        let entry = self.entries.remove(&member)?;
        if let Some(name) = &entry.name {
            self.names.remove(name);
        }
        Some(entry.name)
    }

    /// Returns `wanted` if it is free for this member, or else `wanted` with the lowest number that
    /// makes it so.
    pub(crate) fn free_name(&self, wanted: &str, member: MemberId, max_chars: usize) -> Arc<str> {
        let free = |name: &str| self.find(name).is_none_or(|holder| holder == member);
        if free(wanted) {
            return wanted.into();
        }
        // One more candidate than there are members: one of them is free.
        for number in 1..=self.entries.len() {
            let suffix = number.to_string();
            let room = max_chars.saturating_sub(suffix.len());
            let name: String = wanted.chars().take(room).chain(suffix.chars()).collect();
            if free(&name) {
                return name.into();
            }
        }
        format!("{member}").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_gets_the_lowest_free_number() {
        let mut scope = Scope::default();
        scope.insert(MemberId(1), Some("ann".into()));
        scope.insert(MemberId(2), Some("ann2".into()));
        assert_eq!(&*scope.free_name("ann", MemberId(3), 64), "ann1");
        assert_eq!(&*scope.free_name("ann", MemberId(1), 64), "ann");
        scope.insert(MemberId(3), Some("ann1".into()));
        assert_eq!(&*scope.free_name("ann", MemberId(4), 64), "ann3");
    }

    #[test]
    fn a_suffix_does_not_make_a_name_too_long() {
        let mut scope = Scope::default();
        scope.insert(MemberId(1), Some("äöü".into()));
        assert_eq!(&*scope.free_name("äöü", MemberId(2), 3), "äö1");
    }

    #[test]
    fn a_name_is_free_again_when_its_holder_is_renamed_or_leaves() {
        let mut scope = Scope::default();
        scope.insert(MemberId(1), Some("ann".into()));
        scope.rename(MemberId(1), "anna".into());
        assert_eq!(scope.find("ann"), None);
        assert_eq!(scope.find("anna"), Some(MemberId(1)));
        assert_eq!(scope.remove(MemberId(1)), Some(Some("anna".into())));
        assert_eq!(scope.find("anna"), None);
        assert_eq!(scope.len(), 0);
    }
}
