//! Cores that cannot be cloned, cloned by playing their inputs again: they are deterministic.

use std::fmt;

/// A core as a simulation uses it.
pub(crate) trait Core: Sized + Send + 'static {
    type Setup: Clone + fmt::Debug + Send + 'static;
    type Input: Clone + fmt::Debug + Send + 'static;
    type Effect;

    fn make(setup: &Self::Setup) -> Self;

    /// Takes an input, and returns everything that comes of it.
    fn play(&mut self, input: &Self::Input) -> Vec<Self::Effect>;
}

/// A core that remembers what it was told.
pub(crate) struct Replayed<C: Core> {
    setup: C::Setup,
    log: Vec<C::Input>,
    core: C,
}

impl<C: Core> Replayed<C> {
    pub(crate) fn new(setup: C::Setup) -> Self {
        Self {
            core: C::make(&setup),
            setup,
            log: Vec::new(),
        }
    }

    pub(crate) fn play(&mut self, input: C::Input) -> Vec<C::Effect> {
        let effects = self.core.play(&input);
        self.log.push(input);
        effects
    }

    pub(crate) fn core(&self) -> &C {
        &self.core
    }
}

impl<C: Core> Clone for Replayed<C> {
    fn clone(&self) -> Self {
        let mut clone = Self::new(self.setup.clone());
        for input in &self.log {
            clone.play(input.clone());
        }
        clone
    }
}

impl<C: Core> fmt::Debug for Replayed<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replayed").finish_non_exhaustive()
    }
}
