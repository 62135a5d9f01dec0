//! How much memory is in use: an allocator that counts.
//!
//! It counts for each thread on its own, so that threads never wait for each other. The server is one thread; a second one frees some of
//! its large values and reports how much that was.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static USED: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

/// What the system's allocator takes for so many bytes: a word in front, in steps of two words, four at least.
const fn taken(size: usize) -> isize {
    let size = (size + 8 + 15) & !15;
    (if size < 32 { 32 } else { size }) as isize
}

fn count(change: isize) {
    // A thread that ends has no counter any more, and needs none.
    let _ = USED.try_with(|used| used.set(used.get().wrapping_add(change)));
}

// SAFETY: every call goes to the system's allocator with the arguments as they came, and its results go back as they are.
// Counting touches a thread-local integer without a destructor: it allocates nothing and does not unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        let memory = unsafe { System.alloc(layout) };
        if !memory.is_null() {
            count(taken(layout.size()));
        }
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        let memory = unsafe { System.alloc_zeroed(layout) };
        if !memory.is_null() {
            count(taken(layout.size()));
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-taken(layout.size()));
        // SAFETY: the caller keeps the contract of `dealloc`; `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `realloc`; `memory` came from `System`.
        let moved = unsafe { System.realloc(memory, layout, size) };
        if !moved.is_null() {
            count(taken(size) - taken(layout.size()));
        }
        moved
    }
}

/// The memory that this thread has in use, in bytes.
pub fn used() -> usize {
    usize::try_from(USED.get()).unwrap_or(0)
}

/// What this thread has allocated and not freed, in bytes: below zero if it has freed what others have allocated.
pub fn balance() -> isize {
    USED.get()
}

/// Another thread has freed so many bytes of what this one has allocated.
pub fn freed_elsewhere(bytes: isize) {
    count(-bytes);
}

#[cfg(test)]
mod tests {
    use super::used;

    #[test]
    fn what_is_taken_is_counted_until_it_is_given_back() {
        let before = used();
        let mut bytes = vec![1u8; 1 << 20];
        assert!(used() - before >= 1 << 20);
        bytes.extend(std::iter::repeat_n(2, 1 << 20));
        assert!(used() - before >= 2 << 20);
        drop(bytes);
        assert_eq!(used(), before);
    }
}
