//! Handshake: six blocks of fixed length before the chunk stream (RTMP 1.0, 5.2).
//!
//! In: the peer's version byte and its two blocks. Out: ours, in as few writes as the order allows. A server
//! answers C1 with S0, S1 and S2 at once, because ffmpeg and GStreamer wait for S2 before they send C2; a client
//! sends C2 as soon as it has S1, as librtmp does.
//! Not here: the deadline (`session`), encryption (RTMPE is refused). Blocks without digests are in `simple`,
//! with digests in `digest`.
//! Bounds: one block of 1536 bytes is held until it is answered; the peer's second block is only counted.
//! Field notes: what the second block holds is never checked: ffmpeg publishers echo a signed S1, GStreamer sets
//! a time in it. A version in C1 promises no digest, a version in S1 neither (SRS puts a time there).

use super::{At, Error, ErrorKind, Malformed, Misbehaviour};
use crate::base::{MonoTime, Output, Purpose, SplitMix64};
use alloc::vec::Vec;
use core::mem;
use digest::{PLAYER, SERVER};
use simple::{BLOCK_LEN, Block};

mod digest;
mod simple;

/// The only version in use: plain RTMP.
const VERSION: u8 = 3;

/// Product version in a C1 that offers the digest handshake: Flash Player 128.0.7.2, which SRS claims as well.
const PLAYER_VERSION: [u8; 4] = [0x80, 0, 7, 2];

/// Product version in a signed S1: Flash Media Server 4.5.0.1. From 3 on, ffmpeg players insist on the digests.
const SERVER_VERSION: [u8; 4] = [4, 5, 0, 1];

/// No product version: a block without a digest.
const NO_VERSION: [u8; 4] = [0; 4];

/// One side of a handshake. The bytes it sends depend on its seed, the peer's bytes and the time alone.
#[derive(Debug)]
pub struct Handshake {
    role: Role,
    random: SplitMix64,
    /// The peer's version byte, once it came.
    version: u8,
    /// The peer's first block was signed, and our second one is.
    digest: bool,
    state: State,
}

/// How a handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Both sides proved the Adobe digests; otherwise the simple form was used.
    pub digest: bool,
    /// The version byte of the peer; 3 but for odd clients.
    pub version: u8,
}

#[derive(Clone, Copy, Debug)]
enum Role {
    Server,
    Client { offer_digest: bool },
}

#[derive(Debug)]
enum State {
    /// Client: nothing is sent yet.
    Start,
    /// C0 or S0 is to come.
    Version,
    /// C1 or S1 is to come; holds what has arrived of it.
    Block1(Vec<u8>),
    /// C2 or S2 is to come.
    Block2 {
        /// Bytes of it that are missing.
        left: usize,
    },
    /// What follows belongs to the chunk stream.
    Done,
}

impl Handshake {
    /// The side that answers.
    pub fn server(seed: u64) -> Handshake {
        Handshake::new(Role::Server, State::Version, seed)
    }

    /// The side that begins. `offer_digest`: sign C1, so that a server may prove itself.
    pub fn client(seed: u64, offer_digest: bool) -> Handshake {
        Handshake::new(Role::Client { offer_digest }, State::Start, seed)
    }

    fn new(role: Role, state: State, seed: u64) -> Handshake {
        Handshake { role, random: SplitMix64(seed), version: 0, digest: false, state }
    }

    /// Takes bytes of the handshake and answers them into `out`; returns how many bytes were taken, and once how
    /// it ended. Bytes behind the handshake are not taken.
    ///
    /// The first call of a client queues C0 and C1, whatever `input` holds: make it at once, with no input.
    ///
    /// # Errors
    /// [`Malformed::NotRtmp`], [`Misbehaviour::Encrypted`] and [`Misbehaviour::Version`], all from the version
    /// byte: nothing is answered then.
    pub fn handle(
        &mut self,
        now: MonoTime,
        input: &[u8],
        out: &mut Output,
    ) -> Result<(usize, Option<Done>), Error> {
        let mut rest = input;
        loop {
            match &mut self.state {
                State::Start => {
                    self.send_c0_c1(now, out);
                    self.state = State::Version;
                }
                State::Version => {
                    let Some((&version, behind)) = rest.split_first() else { break };
                    self.check_version(version)?;
                    self.version = version;
                    rest = behind;
                    self.state = State::Block1(Vec::new());
                }
                State::Block1(held) => {
                    let (taken, behind) = rest.split_at(rest.len().min(BLOCK_LEN - held.len()));
                    held.reserve_exact(BLOCK_LEN - held.len());
                    held.extend_from_slice(taken);
                    rest = behind;
                    if self.version == TLS_HANDSHAKE && held.first() == Some(&TLS_MAJOR) {
                        return Err(fail(ErrorKind::Malformed(Malformed::NotRtmp(TLS_HANDSHAKE))));
                    }
                    match Block::try_from(mem::take(held)) {
                        Ok(peer) => self.answer(now, &peer, out),
                        Err(incomplete) => {
                            *held = incomplete;
                            break;
                        }
                    }
                    self.state = State::Block2 { left: BLOCK_LEN };
                }
                State::Block2 { left } => {
                    let taken = rest.len().min(*left);
                    *left -= taken;
                    rest = &rest[taken..];
                    if *left > 0 {
                        break;
                    }
                    self.state = State::Done;
                    let done = Done { digest: self.digest, version: self.version };
                    return Ok((input.len() - rest.len(), Some(done)));
                }
                State::Done => break,
            }
        }
        Ok((input.len() - rest.len(), None))
    }

    /// Versions that nobody speaks are answered with ours, so that the peer may come down to it.
    fn check_version(&self, version: u8) -> Result<(), Error> {
        let kind = match (self.role, version) {
            (Role::Server, 6 | 8 | 9) => ErrorKind::PeerMisbehaved(Misbehaviour::Encrypted(version)),
            (Role::Server, 32..) => ErrorKind::Malformed(Malformed::NotRtmp(version)),
            (Role::Client { .. }, 4..) => ErrorKind::PeerMisbehaved(Misbehaviour::Version(version)),
            _ => return Ok(()),
        };
        Err(fail(kind))
    }

    fn send_c0_c1(&mut self, now: MonoTime, out: &mut Output) {
        let c1 = match self.role {
            Role::Client { offer_digest: true } => {
                let mut c1 = simple::block(now, PLAYER_VERSION, &mut self.random);
                digest::sign(&mut c1, digest::Layout::DigestFirst, &PLAYER);
                c1
            }
            _ => simple::block(now, NO_VERSION, &mut self.random),
        };
        out.push_owned(&[VERSION], Purpose::Reply);
        out.push_owned(&c1, Purpose::Reply);
    }

    /// Answers the peer's first block: a server with everything it has to send, a client with C2.
    fn answer(&mut self, now: MonoTime, peer: &Block, out: &mut Output) {
        let (own, signed) = match self.role {
            Role::Server => (&SERVER, digest::find(peer, &PLAYER)),
            Role::Client { offer_digest: true } => (&PLAYER, digest::find(peer, &SERVER)),
            Role::Client { offer_digest: false } => (&PLAYER, None),
        };
        self.digest = signed.is_some();
        if matches!(self.role, Role::Server) {
            let s1 = match signed {
                Some((layout, _)) => {
                    let mut s1 = simple::block(now, SERVER_VERSION, &mut self.random);
                    digest::sign(&mut s1, layout, own);
                    s1
                }
                None => simple::block(now, NO_VERSION, &mut self.random),
            };
            out.push_owned(&[VERSION], Purpose::Reply);
            out.push_owned(&s1, Purpose::Reply);
        }
        match signed {
            Some((_, peers)) => {
                let mut block2 = simple::random_block(&mut self.random);
                digest::seal(&mut block2, own, &peers);
                out.push_owned(&block2, Purpose::Reply);
            }
            None => out.push_owned(peer, Purpose::Reply),
        }
    }
}

/// First byte of a TLS connection, which is a version that we would answer; and its second byte, which in RTMP
/// is the top of a time.
const TLS_HANDSHAKE: u8 = 0x16;
const TLS_MAJOR: u8 = 3;

/// All errors are about the version byte, which is the first.
fn fail(kind: ErrorKind) -> Error {
    Error::new(kind, At::default())
}

/// Fuzz body: the first byte picks role and cuts, the rest is the peer. Whole and cut input must give the same
/// answer and the same end, and no more than the blocks is taken or sent.
///
/// # Panics
/// If they do not.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(data: &[u8]) {
    let Some((&pick, peer)) = data.split_first() else { return };
    let whole = run_in_pieces(pick, peer, usize::MAX);
    let cut = run_in_pieces(pick, peer, usize::from(pick >> 2) + 1);
    assert_eq!(whole, cut, "cuts change the handshake");
    let (taken, result, sent) = whole;
    assert!(taken <= 1 + 2 * BLOCK_LEN && sent.len() <= 1 + 2 * BLOCK_LEN);
    if let Ok(Some(_)) = result {
        assert_eq!((taken, sent.len()), (1 + 2 * BLOCK_LEN, 1 + 2 * BLOCK_LEN));
    }
}

/// Feeds `peer` to the side that `pick` says, in pieces of `step` bytes: what was taken, how it ended, what was
/// sent.
#[cfg(any(test, feature = "fuzzing"))]
fn run_in_pieces(pick: u8, peer: &[u8], step: usize) -> (usize, Result<Option<Done>, Error>, Vec<u8>) {
    let mut handshake = match pick & 3 {
        0 | 1 => Handshake::server(7),
        2 => Handshake::client(7, false),
        _ => Handshake::client(7, true),
    };
    let mut out = Output::new();
    let mut taken = 0;
    let mut result = handshake.handle(MonoTime(5), &[], &mut out).map(|(_, done)| done);
    for piece in peer.chunks(step) {
        match handshake.handle(MonoTime(5), piece, &mut out) {
            Ok((count, done)) => {
                taken += count;
                result = Ok(done);
                if done.is_some() {
                    break;
                }
                assert_eq!(count, piece.len(), "bytes were left before the end");
            }
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    // The count at an error is not part of the contract.
    (if result.is_err() { 0 } else { taken }, result, out.to_vec())
}

#[cfg(test)]
mod tests;
