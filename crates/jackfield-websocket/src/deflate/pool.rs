//! The coders that all connections of a thread share while they need no window of their own.
//!
//! What a coder gives does not depend on its earlier uses: it is reset between messages.

use std::cell::RefCell;

use super::{Coding, Compressor, Inflater};

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { compressors: Vec::new(), inflaters: Vec::new() }) };
}

struct Pool {
    compressors: Vec<(Coding, Compressor)>,
    inflaters: Vec<Inflater>,
}

/// Returns the message of `parts`, compressed with an empty window.
pub(crate) fn compress_once(coding: Coding, parts: &[&[u8]]) -> Option<Vec<u8>> {
    POOL.try_with(|pool| {
        let mut pool = pool.try_borrow_mut().ok()?;
        let compressors = &mut pool.compressors;
        if let Some((_, compressor)) = compressors.iter_mut().find(|(has, _)| *has == coding) {
            compressor.reset();
            return compressor.compress(parts);
        }
        let mut compressor = Compressor::new(coding);
        let message = compressor.compress(parts);
        // Clients that ask for windows of many sizes must not make the pool grow.
        if compressors.len() == KEPT {
            compressors.remove(0);
        }
        compressors.push((coding, compressor));
        message
    })
    .ok()
    .flatten()
}

/// Returns a decompressor with an empty window.
pub(crate) fn take_inflater() -> Inflater {
    POOL.try_with(|pool| pool.try_borrow_mut().ok()?.inflaters.pop())
        .ok()
        .flatten()
        .map_or_else(Inflater::new, |mut inflater| {
            inflater.reset();
            inflater
        })
}

/// Gives back what [`take_inflater`] gave.
pub(crate) fn reclaim_inflater(inflater: Inflater) {
    let _ = POOL.try_with(|pool| {
        if let Ok(mut pool) = pool.try_borrow_mut()
            && pool.inflaters.len() < KEPT
        {
            pool.inflaters.push(inflater);
        }
    });
}

/// Coders kept per thread; the coder of one more kind or one more simultaneous message is made and
/// dropped.
const KEPT: usize = 4;
