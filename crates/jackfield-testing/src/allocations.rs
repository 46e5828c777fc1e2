//! A counter of allocations and of the bytes they hold.

#![expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which also counts what each thread asks of it.
///
/// A test binary that claims that something allocates nothing makes it the global one:
///
/// ```
/// use jackfield_testing::{CountingAllocator, allocations};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// let before = allocations();
/// let text = String::from("hello");
/// assert_eq!(allocations() - before, 1);
/// drop(text);
/// assert_eq!(allocations() - before, 1);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct CountingAllocator;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        release(layout.size());
        hold(size);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        release(layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Returns how often this thread has asked [`CountingAllocator`] for memory, growing of what it
/// had included; always zero where that is not the global allocator.
#[must_use]
pub fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// Returns how many bytes this thread has asked [`CountingAllocator`] for and not given back.
///
/// It counts what the program asked for, not what the system's allocator adds. Memory that one
/// thread allocates and another frees leaves the first too high and the second too low, even below
/// zero.
///
/// ```
/// use jackfield_testing::{CountingAllocator, held_bytes};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// let before = held_bytes();
/// let bytes = vec![0_u8; 1_000];
/// assert_eq!(held_bytes() - before, 1_000);
/// drop(bytes);
/// assert_eq!(held_bytes(), before);
/// ```
#[must_use]
pub fn held_bytes() -> i64 {
    HELD.get()
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

fn hold(bytes: usize) {
    HELD.set(HELD.get() + bytes as i64);
}

fn release(bytes: usize) {
    HELD.set(HELD.get() - bytes as i64);
}

thread_local! {
    // A test counts its own thread's alone: the test harness allocates in others at any time.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
}
