//! Who is in a room, or in the lobby, and under which name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::MemberId;
use crate::name::{self, Looks, Name};

/// A set of members in which a name means one of them.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// In the order of connection, as member numbers only grow.
    entries: BTreeMap<MemberId, Entry>,
    names: BTreeMap<Arc<str>, MemberId>,
    /// How the names look.
    looks: BTreeMap<(bool, Arc<str>), MemberId>,
    /// Names that are held for members that were lost. They are taken, and mean nobody.
    held: BTreeMap<MemberId, Name>,
    arrivals: u64,
}

#[derive(Debug)]
struct Entry {
    /// `None` only in the lobby; a room is entered by name.
    name: Option<Name>,
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
            .map(|(member, entry)| (*member, entry.name.as_ref().map(Name::as_str)))
    }

    pub(crate) fn name_of(&self, member: MemberId) -> Option<&str> {
        Some(self.entries.get(&member)?.name.as_ref()?.as_str())
    }

    pub(crate) fn find(&self, name: &str) -> Option<MemberId> {
        let shown = || self.names.get(&*name::shown(name, usize::MAX).ok()?);
        self.names.get(name).or_else(shown).copied()
    }

    pub(crate) fn arrived_after(&self, member: MemberId, other: MemberId) -> bool {
        let arrival = |member| self.entries.get(&member).map(|entry| entry.arrival);
        arrival(member) > arrival(other)
    }

    /// Seats a newcomer; the name must be free.
    pub(crate) fn insert(&mut self, member: MemberId, name: Option<Name>) {
        // The member's number would not do: a member that connected first may join last.
        self.arrivals += 1;
        let arrival = self.arrivals;
        if let Some(name) = &name {
            self.take_name(name, member);
        }
        self.entries.insert(member, Entry { name, arrival });
    }

    /// Gives a seated member another name, which must be free.
    pub(crate) fn rename(&mut self, member: MemberId, name: Name) {
        if let Some(entry) = self.entries.get_mut(&member) {
            let old = entry.name.replace(name.clone());
            if let Some(old) = old {
                self.give_up_name(&old);
            }
            self.take_name(&name, member);
        }
    }

    /// Takes a member out and returns whether it was in, with its name.
    pub(crate) fn remove(&mut self, member: MemberId) -> Option<Option<Name>> {
        let entry = self.entries.remove(&member)?;
        if let Some(name) = &entry.name {
            self.give_up_name(name);
        }
        Some(entry.name)
    }

    /// Takes the name of a member that was lost, so that no other gets it.
    pub(crate) fn hold(&mut self, member: MemberId, name: Name) {
        for key in name.looks().keys() {
            self.looks.insert(key, member);
        }
        self.held.insert(member, name);
    }

    /// Frees a name that is held.
    pub(crate) fn release(&mut self, member: MemberId) -> Option<Name> {
        let name = self.held.remove(&member)?;
        for key in name.looks().keys() {
            self.looks.remove(&key);
        }
        Some(name)
    }

    pub(crate) fn holds_name_of(&self, member: MemberId) -> bool {
        self.held.contains_key(&member)
    }

    pub(crate) fn holds_names(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns the members whose names are held.
    pub(crate) fn held(&self) -> impl Iterator<Item = MemberId> {
        self.held.keys().copied()
    }

    /// Returns `wanted` if no other member's name looks like it, or else `wanted` with the lowest
    /// number that makes it so.
    pub(crate) fn free_name(&self, wanted: &Name, member: MemberId, max_chars: usize) -> Name {
        if self.is_free(wanted.looks(), member) {
            return wanted.clone();
        }
        let mut stem = wanted.clone();
        // A name takes two forms, so one of these is free.
        for number in 1..=2 * (self.entries.len() + self.held.len()) {
            let suffix = number.to_string();
            let room = max_chars.saturating_sub(suffix.len());
            if let Some((end, _)) = stem.as_str().char_indices().nth(room) {
                stem = Name::of(stem.as_str().get(..end).unwrap_or_default());
            }
            let looks = stem.looks().and(&Looks::of(&suffix));
            if self.is_free(&looks, member) {
                return Name::of(&format!("{}{suffix}", stem.as_str()));
            }
        }
        Name::of(&format!("{member}"))
    }

    fn is_free(&self, looks: &Looks, member: MemberId) -> bool {
        let mut keys = looks.keys().into_iter();
        keys.all(|key| self.looks.get(&key).is_none_or(|holder| *holder == member))
    }

    fn take_name(&mut self, name: &Name, member: MemberId) {
        for key in name.looks().keys() {
            self.looks.insert(key, member);
        }
        self.names.insert(name.shown(), member);
    }

    fn give_up_name(&mut self, name: &Name) {
        for key in name.looks().keys() {
            self.looks.remove(&key);
        }
        self.names.remove(name.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_gets_the_lowest_free_number() {
        let mut scope = Scope::default();
        scope.insert(MemberId(1), Some(Name::of("ann")));
        scope.insert(MemberId(2), Some(Name::of("ann2")));
        assert_eq!(
            scope.free_name(&Name::of("ann"), MemberId(3), 64).as_str(),
            "ann1"
        );
        assert_eq!(
            scope.free_name(&Name::of("ann"), MemberId(1), 64).as_str(),
            "ann"
        );
        scope.insert(MemberId(3), Some(Name::of("ann1")));
        assert_eq!(
            scope.free_name(&Name::of("ann"), MemberId(4), 64).as_str(),
            "ann3"
        );
    }

    #[test]
    fn a_name_that_looks_like_one_that_is_taken_gets_a_number() {
        let mut scope = Scope::default();
        scope.insert(MemberId(1), Some(Name::of("ann")));
        scope.insert(MemberId(2), Some(Name::of("annl")));
        let other = MemberId(3);
        for wanted in ["Ann", "\u{430}nn", "ANN"] {
            // `ann1` looks like `annl`.
            assert_eq!(
                scope.free_name(&Name::of(wanted), other, 64).as_str(),
                format!("{wanted}2")
            );
        }
        assert_eq!(
            scope.free_name(&Name::of("Ann"), MemberId(1), 64).as_str(),
            "Ann"
        );
        scope.rename(MemberId(1), Name::of("Ann"));
        assert_eq!(scope.remove(MemberId(1)), Some(Some(Name::of("Ann"))));
        assert_eq!(scope.free_name(&Name::of("ann"), other, 64).as_str(), "ann");
    }

    #[test]
    fn a_member_is_found_by_its_name_however_that_is_written() {
        let mut scope = Scope::default();
        scope.insert(MemberId(1), Some(Name::of("\u{e4}nn")));
        assert_eq!(scope.find("a\u{308}nn"), Some(MemberId(1)));
        assert_eq!(scope.find("ann"), None);
    }

    #[test]
    fn a_suffix_does_not_make_a_name_too_long() {
        let mut scope = Scope::default();
        scope.insert(MemberId(1), Some(Name::of("äöü")));
        assert_eq!(
            scope.free_name(&Name::of("äöü"), MemberId(2), 3).as_str(),
            "äö1"
        );
    }

    #[test]
    fn a_name_that_is_held_is_taken_and_means_nobody() {
        let mut scope = Scope::default();
        scope.hold(MemberId(1), Name::of("ann"));
        assert_eq!(scope.find("ann"), None);
        let other = MemberId(2);
        assert_eq!(
            scope.free_name(&Name::of("ANN"), other, 64).as_str(),
            "ANN1"
        );
        assert_eq!(scope.release(other), None);
        assert_eq!(scope.release(MemberId(1)), Some(Name::of("ann")));
        assert_eq!(scope.free_name(&Name::of("ann"), other, 64).as_str(), "ann");
    }

    #[test]
    fn a_name_is_free_again_when_its_holder_is_renamed_or_leaves() {
        let mut scope = Scope::default();
        scope.insert(MemberId(1), Some(Name::of("ann")));
        scope.rename(MemberId(1), Name::of("anna"));
        assert_eq!(scope.find("ann"), None);
        assert_eq!(scope.find("anna"), Some(MemberId(1)));
        assert_eq!(scope.remove(MemberId(1)), Some(Some(Name::of("anna"))));
        assert_eq!(scope.find("anna"), None);
        assert_eq!(scope.len(), 0);
    }
}
