//! The outgoing slice queue of a session: small owned bytes and shared payloads in, slices for vectored writes out.
//!
//! Owned bytes (headers of chunks, whole small replies) lie one behind the other in one buffer, so that replies that
//! follow each other leave in one slice and no header costs an allocation. Payloads are shared, never copied.
//! Not here: what the bytes mean, and how much may wait: both are the protocol's, by [`Output::has_room`] and
//! [`Output::reply_len`].
//! Bounds: none of its own. A drained queue keeps `KEPT_ENTRIES` and `KEPT_BYTES` at most: ten thousand idle
//! connections are normal.

use super::Payload;
use alloc::{collections::VecDeque, vec::Vec};
use core::{fmt, mem};

/// What bytes are queued for. All wait in one queue, but replies are counted apart, because a peer that asks and never
/// reads is another problem than a slow player; and what nobody wants any more can be taken out again
/// ([`Output::drop_media`]) in whole messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The first bytes of audio or video of the stream with that number, chunk header included: of one message, or of several
    /// in one piece.
    Start(u32),
    /// What follows them.
    Rest,
    /// Data of a stream, chunk headers included: never dropped.
    Data,
    /// Everything else: handshake, control messages, commands and their replies.
    Reply,
}

/// Why media was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// As much as may wait waits already (`max_queued_output` of the session's limits): drop up to the next keyframe.
    WouldExceed,
    /// Nothing is open for media in this direction, or the session is closing.
    NotOpen,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Output {
    /// What waits, oldest first; never an empty entry. The first one has its place here: most of the time it is the
    /// only one, and with thousands of players each allocation is one more wait for memory.
    first: Option<Entry>,
    more: VecDeque<Entry>,
    /// Bytes of the owned entries, in their order, behind `owned_sent` bytes that are gone already.
    owned: Vec<u8>,
    owned_sent: usize,
    len: usize,
    reply_len: usize,
}

/// A run of bytes of one purpose.
#[derive(Debug)]
struct Entry {
    /// The bytes, whole; `None`: they are in `Output::owned`.
    shared: Option<Payload>,
    /// How many at the end of it are still to be written. Not 0.
    left: usize,
    purpose: Purpose,
}

/// Entries behind the first that a drained queue keeps room for.
const KEPT_ENTRIES: usize = 4;

/// Owned bytes that a drained queue keeps room for.
const KEPT_BYTES: usize = 64;

impl Output {
    /// An empty queue, which allocates nothing.
    pub fn new() -> Output {
        Output::default()
    }

    /// Queues a copy of `bytes`, right behind the owned bytes queued before if nothing shared came between.
    pub fn push_owned(&mut self, bytes: &[u8], purpose: Purpose) {
        if bytes.is_empty() {
            return;
        }
        // Moves no more bytes than were written since the last time.
        if self.owned_sent > self.owned.len() / 2 {
            self.owned.drain(..self.owned_sent);
            self.owned_sent = 0;
        }
        self.owned.extend_from_slice(bytes);
        self.count(bytes.len(), purpose);
        match self.more.back_mut().or(self.first.as_mut()) {
            // Each start stays an entry of its own, so that one can go and another stay.
            Some(last)
                if last.shared.is_none()
                    && last.purpose == purpose
                    && !matches!(purpose, Purpose::Start(_)) =>
            {
                last.left += bytes.len();
            }
            _ => self.push(Entry { shared: None, left: bytes.len(), purpose }),
        }
    }

    /// Queues `payload` without copying it.
    pub fn push_shared(&mut self, payload: Payload, purpose: Purpose) {
        if payload.is_empty() {
            return;
        }
        self.count(payload.len(), purpose);
        self.push(Entry { left: payload.len(), shared: Some(payload), purpose });
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `len` more bytes of media may wait beside those that do, where `max` may. One piece may be larger than
    /// that: it passes when nothing else waits.
    ///
    /// # Errors
    /// `WouldExceed` if not.
    pub fn has_room(&self, len: usize, max: usize) -> Result<(), SendError> {
        if self.len > 0 && self.len + len > max { Err(SendError::WouldExceed) } else { Ok(()) }
    }

    /// Bytes of [`Purpose::Reply`] that wait.
    pub fn reply_len(&self) -> usize {
        self.reply_len
    }

    /// Fills `slices` with what waits, oldest first, as far as there is room; returns how many were filled.
    pub fn slices<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        let mut filled = 0;
        // The part of `owned` that the last slice shows, if it shows owned bytes.
        let mut run = self.owned_sent..self.owned_sent;
        let mut extends_run = false;
        for entry in self.first.iter().chain(&self.more) {
            let slice = match &entry.shared {
                Some(payload) => &payload[payload.len() - entry.left..],
                None => {
                    run = if extends_run { run.start } else { run.end }..run.end + entry.left;
                    &self.owned[run.clone()]
                }
            };
            let grows_last = extends_run && entry.shared.is_none();
            extends_run = entry.shared.is_none();
            let at = if grows_last { filled - 1 } else { filled };
            match slices.get_mut(at) {
                Some(place) => *place = slice,
                None => break,
            }
            filled = at + 1;
        }
        filled
    }

    /// Drops the first `written` bytes: they have reached the socket.
    ///
    /// # Panics
    /// If fewer bytes wait.
    pub fn advance(&mut self, written: usize) {
        assert!(written <= self.len, "more bytes written than were queued");
        self.len -= written;
        let mut rest = written;
        while let Some(front) = &mut self.first {
            let taken = rest.min(front.left);
            rest -= taken;
            front.left -= taken;
            if front.shared.is_none() {
                self.owned_sent += taken;
            }
            if front.purpose == Purpose::Reply {
                self.reply_len -= taken;
            }
            if front.left > 0 {
                // What has begun is finished.
                if taken > 0 && matches!(front.purpose, Purpose::Start(_)) {
                    front.purpose = Purpose::Rest;
                }
                return;
            }
            self.first = self.more.pop_front();
        }
        self.owned_sent = 0;
        self.owned.clear();
        self.owned.shrink_to(KEPT_BYTES);
        self.more.shrink_to(KEPT_ENTRIES);
    }

    /// Takes out audio and video of a stream, except what has begun to be written: a reader that has seen the
    /// start of a message waits for its end.
    pub fn drop_media(&mut self, stream: u32) {
        let (first, more) = (self.first.take(), mem::take(&mut self.more));
        let owned = mem::take(&mut self.owned);
        let mut at = mem::take(&mut self.owned_sent);
        (self.len, self.reply_len) = (0, 0);
        let mut is_dropping = false;
        for entry in first.into_iter().chain(more) {
            let bytes = if entry.shared.is_none() { at..at + entry.left } else { at..at };
            at = bytes.end;
            match entry.purpose {
                Purpose::Start(of) => is_dropping = of == stream,
                Purpose::Rest => {}
                Purpose::Data | Purpose::Reply => is_dropping = false,
            }
            if !is_dropping {
                self.owned.extend_from_slice(&owned[bytes]);
                self.count(entry.left, entry.purpose);
                self.push(entry);
            }
        }
    }

    fn push(&mut self, entry: Entry) {
        match &self.first {
            None => self.first = Some(entry),
            Some(_) => self.more.push_back(entry),
        }
    }

    fn count(&mut self, bytes: usize, purpose: Purpose) {
        self.len += bytes;
        if purpose == Purpose::Reply {
            self.reply_len += bytes;
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::WouldExceed => "output queue is full",
            SendError::NotOpen => "not open for media",
        })
    }
}

impl core::error::Error for SendError {}

#[cfg(any(test, feature = "fuzzing"))]
impl Output {
    /// All that waits, in one piece.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut slices: Vec<&[u8]> = alloc::vec![&[]; self.more.len() + 1];
        let filled = self.slices(&mut slices);
        slices[..filled].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const ONE: u32 = 1;
    const TWO: u32 = 2;

    /// Replies, media headers and shared bodies in turn: `0, 1, 2, ...` all told.
    fn mixed() -> Output {
        let bytes: Vec<u8> = (0..60).collect();
        let mut out = Output::new();
        out.push_owned(&bytes[..5], Purpose::Reply);
        out.push_owned(&bytes[5..9], Purpose::Reply);
        out.push_owned(&bytes[9..12], Purpose::Start(ONE));
        out.push_shared(bytes[12..30].into(), Purpose::Rest);
        out.push_shared(Payload::from(&bytes[..]).slice(30..40), Purpose::Reply);
        out.push_owned(&bytes[40..41], Purpose::Start(ONE));
        out.push_shared(bytes[41..60].into(), Purpose::Rest);
        out
    }

    /// Bytes of `mixed` from `at` on that are replies.
    fn replies_from(at: usize) -> usize {
        (at..60).filter(|&byte| byte < 9 || (30..40).contains(&byte)).count()
    }

    #[test]
    fn partial_writes_at_every_offset_lose_and_double_nothing() {
        for first in 0..=60 {
            for second in 0..=60 - first {
                let mut out = mixed();
                for (written, at) in [(first, first), (second, first + second)] {
                    out.advance(written);
                    assert_eq!(out.to_vec(), (at as u8..60).collect::<Vec<u8>>());
                    assert_eq!((out.len(), out.reply_len()), (60 - at, replies_from(at)));
                    assert_eq!(out.is_empty(), at == 60);
                }
            }
        }
    }

    #[test]
    fn bytes_pushed_after_a_partial_write_follow_what_is_left() {
        for written in 0..=60 {
            let mut out = mixed();
            out.advance(written);
            out.push_owned(&[60, 61], Purpose::Reply);
            out.push_shared(vec![62, 63].into(), Purpose::Start(ONE));
            out.push_owned(&[64], Purpose::Rest);
            assert_eq!(out.to_vec(), (written as u8..65).collect::<Vec<u8>>());
            assert_eq!(out.reply_len(), replies_from(written) + 2);
        }
    }

    #[test]
    fn dropped_media_leaves_whole_messages_of_others_and_the_one_that_has_begun() {
        // Messages, each byte the number of its message: two starts behind each other, one of several chunks, a reply
        // and data between.
        let starts = [(ONE, 1), (TWO, 1), (ONE, 2), (ONE, 0), (TWO, 2)];
        let queue = || {
            let mut out = Output::new();
            for (number, (stream, chunks)) in (0u8..).zip(starts) {
                out.push_owned(&[number; 3], Purpose::Start(stream));
                for chunk in 0..chunks {
                    if chunk > 0 {
                        out.push_owned(&[number], Purpose::Rest);
                    }
                    out.push_shared(vec![number; 4].into(), Purpose::Rest);
                }
                let (byte, purpose) =
                    if number % 2 == 0 { (10, Purpose::Reply) } else { (11, Purpose::Data) };
                out.push_owned(&[byte + 10 * number], purpose);
            }
            out
        };
        let all = queue().to_vec();
        for written in 0..=all.len() {
            let mut out = queue();
            out.advance(written);
            out.drop_media(ONE);
            let begun = all.get(written).filter(|number| written > 0 && all[written - 1] == **number);
            let is_kept = |number: &u8| match starts.get(usize::from(*number)) {
                Some((stream, _)) => *stream == TWO || begun == Some(number),
                None => true,
            };
            let kept: Vec<u8> = all[written..].iter().copied().filter(is_kept).collect();
            assert_eq!(out.to_vec(), kept, "{written} written");
            let replies = kept.iter().filter(|number| [10, 30, 50].contains(*number)).count();
            assert_eq!((out.len(), out.reply_len()), (kept.len(), replies));
            out.push_owned(&[99], Purpose::Start(ONE));
            out.advance(kept.len());
            assert_eq!(out.to_vec(), [99]);
        }
    }

    #[test]
    fn owned_bytes_that_follow_each_other_leave_in_one_slice() {
        let out = mixed();
        let mut slices: [&[u8]; 8] = [&[]; 8];
        assert_eq!(out.slices(&mut slices), 5);
        assert_eq!(slices.map(<[u8]>::len), [12, 18, 10, 1, 19, 0, 0, 0]);
    }

    #[test]
    fn no_more_slices_are_filled_than_there_is_room_for() {
        let out = mixed();
        for room in 0..5 {
            let mut slices: Vec<&[u8]> = vec![&[]; room];
            assert_eq!(out.slices(&mut slices), room);
            let shown = slices.concat();
            assert_eq!(shown, out.to_vec()[..shown.len()]);
            assert_eq!(shown.len(), [0, 12, 30, 40, 41][room]);
        }
    }

    #[test]
    fn shared_bytes_are_not_copied() {
        let body = Payload::from(vec![7; 100]);
        let mut out = Output::new();
        out.push_shared(body.clone(), Purpose::Rest);
        out.advance(10);
        let mut slices: [&[u8]; 1] = [&[]];
        out.slices(&mut slices);
        assert_eq!(slices[0].as_ptr(), body[10..].as_ptr());
    }

    #[test]
    fn empty_pushes_queue_nothing() {
        let mut out = Output::new();
        out.push_owned(&[], Purpose::Reply);
        out.push_shared(Payload::default(), Purpose::Rest);
        assert!(out.is_empty() && out.first.is_none());
    }

    #[test]
    fn a_drained_queue_holds_next_to_nothing() {
        let mut out = Output::new();
        for _ in 0..1000 {
            out.push_owned(&[1; 20], Purpose::Start(ONE));
            out.push_shared(vec![2; 20].into(), Purpose::Rest);
        }
        out.advance(out.len());
        assert!(out.owned.capacity() <= KEPT_BYTES && out.more.capacity() <= 2 * KEPT_ENTRIES);
    }

    #[test]
    fn a_queue_that_never_drains_does_not_keep_what_was_written() {
        let mut out = Output::new();
        out.push_owned(&[0; 100], Purpose::Reply);
        for _ in 0..10_000 {
            out.push_owned(&[1; 10], Purpose::Reply);
            out.advance(10);
        }
        assert!(out.owned.capacity() < 1000, "{} bytes for 100", out.owned.capacity());
    }

    #[test]
    #[should_panic(expected = "more bytes written")]
    fn advancing_beyond_the_end_is_a_bug_of_the_caller() {
        mixed().advance(61);
    }
}
