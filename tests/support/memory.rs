//! An allocator that counts the live bytes of each thread. Tests run on a thread each, and a session frees where it
//! allocates, so that one test does not see another. The program that uses it makes it the global one.

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
};
use std::alloc::System;

/// The system's allocator, counted.
#[derive(Debug)]
pub(crate) struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// Bytes this thread has allocated and not freed.
pub(crate) fn live() -> isize {
    LIVE.get()
}

/// What `work` returns, and by how many bytes it raised the live bytes while it ran.
#[allow(dead_code, reason = "each test program uses its own part of the support code")]
pub(crate) fn peak_of<T>(work: impl FnOnce() -> T) -> (T, isize) {
    let before = live();
    PEAK.set(before);
    let result = work();
    (result, PEAK.get() - before)
}

fn count(bytes: isize) {
    let live = LIVE.get() + bytes;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

// SAFETY: every call goes to the system's allocator with the arguments it came with; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(block, layout, size) }
    }
}

#[test]
fn the_allocator_counts() {
    let before = live();
    let (block, peak) = peak_of(|| {
        drop(vec![0_u8; 5000]);
        vec![0_u8; 3000]
    });
    assert_eq!((live() - before, peak), (3000, 5000));
    drop(block);
    assert_eq!(live(), before);
}
