//! From the order of decoding to the times at which pictures are shown.
//!
//! In: pictures in the order of decoding with their picture order counts. Out: the same in the same order, each with its place in
//! the order of decoding and the place at which it is shown, both counted in pictures. A picture's place is known once more
//! pictures wait than the stream reorders (the "bumping" of C.4.5.3 in H.264, C.5.2 in H.265).
//! Bounds: [`MAX_HELD`], [`MAX_HELD_LEN`]: beyond them places are given out early.

use alloc::collections::VecDeque;

/// Pictures that are held at a time: one, and the longest known pyramid of pictures that are shown before it.
pub const MAX_HELD: usize = 64;
/// Bytes of pictures that are held at a time, one more picture aside.
pub const MAX_HELD_LEN: usize = 32 << 20;
/// Pictures at the beginning of a stream that are looked at to see how much it reorders if it does not say. 16 is the most
/// that the standards allow.
pub const MAX_UNDECLARED: usize = 16;

/// Pictures whose places are not known, and those behind them.
#[derive(Debug)]
pub(super) struct Reorder<T> {
    held: VecDeque<Entry<T>>,
    held_len: usize,
    /// As many pictures may be decoded before one that is shown before them.
    depth: Depth,
    /// By how many pictures all are shown later: the most that `depth` ever was.
    delay: u64,
    decoded: u64,
    placed: u64,
    /// Order count of the last picture of this sequence that was given its place.
    last_order: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Known(usize),
    /// To be seen from the pictures that are held.
    Unknown,
}

#[derive(Debug)]
struct Entry<T> {
    picture: T,
    len: usize,
    order: i32,
    shown_at: Option<u64>,
}

/// A picture with its places.
#[derive(Debug)]
pub(super) struct Placed<T> {
    pub(super) picture: T,
    /// In the order of decoding.
    pub(super) decoded_at: u64,
    /// In the order of showing: never less than `decoded_at`, and no two alike.
    pub(super) shown_at: u64,
}

impl<T> Reorder<T> {
    pub(super) fn new() -> Reorder<T> {
        Reorder {
            held: VecDeque::new(),
            held_len: 0,
            depth: Depth::Unknown,
            delay: 0,
            decoded: 0,
            placed: 0,
            last_order: None,
        }
    }

    /// A sequence begins: all pictures so far are shown before those that come. `max_reorder`: what it says about itself.
    pub(super) fn begin_sequence(&mut self, max_reorder: Option<u8>) {
        self.place_all();
        self.last_order = None;
        if let Some(max_reorder) = max_reorder {
            self.set_depth(usize::from(max_reorder));
        }
    }

    /// The next picture, `len` bytes of memory.
    pub(super) fn push(&mut self, picture: T, len: usize, order: i32) {
        self.held.push_back(Entry { picture, len, order, shown_at: None });
        self.held_len += len;
        let is_full = self.held.len() > MAX_HELD || self.held_len > MAX_HELD_LEN;
        if self.depth == Depth::Unknown && (is_full || self.held.len() >= MAX_UNDECLARED) {
            self.set_depth(self.seen_depth());
        }
        if let Depth::Known(depth) = self.depth {
            while self.waiting() > depth {
                self.place_next();
            }
        }
        while is_full && !self.is_front_placed() {
            self.place_next();
        }
    }

    /// No more pictures will come.
    pub(super) fn place_all(&mut self) {
        if self.depth == Depth::Unknown && !self.held.is_empty() {
            self.set_depth(self.seen_depth());
        }
        while self.place_next() {}
    }

    pub(super) fn pop(&mut self) -> Option<Placed<T>> {
        let shown_at = self.held.front()?.shown_at?;
        let entry = self.held.pop_front()?;
        self.held_len -= entry.len;
        let decoded_at = self.decoded;
        self.decoded += 1;
        Some(Placed { picture: entry.picture, decoded_at, shown_at })
    }

    fn set_depth(&mut self, depth: usize) {
        self.depth = Depth::Known(depth);
        self.delay = self.delay.max(depth as u64);
    }

    fn is_front_placed(&self) -> bool {
        self.held.front().is_some_and(|entry| entry.shown_at.is_some())
    }

    fn waiting(&self) -> usize {
        self.held.iter().filter(|entry| entry.shown_at.is_none()).count()
    }

    /// The most pictures before one of those held that are shown behind it.
    fn seen_depth(&self) -> usize {
        let later = |(index, entry): (usize, &Entry<T>)| {
            self.held.iter().take(index).filter(|before| before.order > entry.order).count()
        };
        self.held.iter().enumerate().map(later).max().unwrap_or_default()
    }

    /// Gives the next place to the waiting picture with the lowest count. False if none waits.
    fn place_next(&mut self) -> bool {
        let waiting = self.held.iter_mut().filter(|entry| entry.shown_at.is_none());
        // The first of several: order counts of a broken stream repeat.
        let Some(entry) = waiting.min_by_key(|entry| entry.order) else { return false };
        let is_late = self.last_order.is_some_and(|last| entry.order < last);
        self.last_order = Some(entry.order);
        if is_late {
            // It ought to have been shown already: more is reordered than was said.
            if let Depth::Known(depth) = &mut self.depth {
                *depth = (*depth + 1).min(MAX_UNDECLARED);
                self.delay = self.delay.max(*depth as u64);
            }
        }
        entry.shown_at = Some(self.placed + self.delay);
        self.placed += 1;
        true
    }
}
