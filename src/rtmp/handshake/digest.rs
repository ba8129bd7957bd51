//! Handshake blocks with digests, which Flash Player 9.0.115 and later want before they play H.264.
//!
//! The first block of a side holds an HMAC-SHA256 of itself, keyed by what the side claims to be, at a place
//! that depends on four of its bytes; the second block ends with one that is keyed by the digest of the peer.
//! Not in any specification. Not here: the key exchange of RTMPE, whose field is noise to us.
//! Field notes: two layouts are about; ffmpeg, SRS and Flash Player sign digest-first, and clients accept the
//! layout that they used.

use super::simple::{BLOCK_LEN, Block};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// An HMAC-SHA256.
pub(super) type Digest = [u8; DIGEST_LEN];

const DIGEST_LEN: usize = 32;

/// Where a first block has its digest. Numbered 0 and 1 elsewhere, in both orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// In the first half, behind time and version.
    DigestFirst,
    /// In the second half, behind the key.
    KeyFirst,
}

/// The keys of a side.
#[derive(Debug)]
pub(super) struct Key {
    /// Signs second blocks, after a detour.
    full: &'static [u8],
    /// How many bytes of it, the readable ones, sign first blocks.
    name_len: usize,
}

/// Clients.
pub(super) const PLAYER: Key = Key {
    full: b"Genuine Adobe Flash Player 001\
        \xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57\
        \x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae",
    name_len: 30,
};

/// Servers.
pub(super) const SERVER: Key = Key {
    full: b"Genuine Adobe Flash Media Server 001\
        \xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57\
        \x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae",
    name_len: 36,
};

/// Puts its digest into a first block.
pub(super) fn sign(block: &mut Block, layout: Layout, key: &Key) {
    let at = digest_at(block, layout);
    let digest: Digest = block_mac(block, at, key).finalize().into_bytes().into();
    block[at..at + DIGEST_LEN].copy_from_slice(&digest);
}

/// The digest of a first block that the holder of `key` signed.
pub(super) fn find(block: &Block, key: &Key) -> Option<(Layout, Digest)> {
    [Layout::DigestFirst, Layout::KeyFirst].into_iter().find_map(|layout| {
        let at = digest_at(block, layout);
        let digest = Digest::try_from(&block[at..at + DIGEST_LEN]).ok()?;
        // Compares in constant time.
        block_mac(block, at, key).verify_slice(&digest).ok()?;
        Some((layout, digest))
    })
}

/// Ends a second block with the proof that its sender holds `key` and has read the digest of the peer.
pub(super) fn seal(block: &mut Block, key: &Key, peers: &Digest) {
    let derived = mac(key.full).chain_update(peers).finalize().into_bytes();
    let (noise, place) = block.split_at_mut(BLOCK_LEN - DIGEST_LEN);
    place.copy_from_slice(&mac(&derived).chain_update(noise).finalize().into_bytes());
}

/// Where the digest of a first block is: in the half that begins with four bytes whose sum says how far behind
/// them. Both halves are 764 bytes long, so that it ends inside for any sum.
fn digest_at(block: &Block, layout: Layout) -> usize {
    let half = match layout {
        Layout::DigestFirst => 8,
        Layout::KeyFirst => 772,
    };
    let sum: usize = block[half..half + 4].iter().map(|&byte| usize::from(byte)).sum();
    half + 4 + sum % (764 - 4 - DIGEST_LEN)
}

/// The MAC of a first block without the 32 bytes at `at`.
fn block_mac(block: &Block, at: usize, key: &Key) -> Hmac<Sha256> {
    mac(&key.full[..key.name_len]).chain_update(&block[..at]).chain_update(&block[at + DIGEST_LEN..])
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::String, vec::Vec};
    use core::{array::from_fn, fmt::Write};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    /// Byte `i` is `i * step + start`, then time 0 and a version.
    fn pattern(step: usize, start: usize, version: [u8; 4]) -> Block {
        let mut block: Block = from_fn(|i| (i * step + start) as u8);
        block[..4].fill(0);
        block[4..8].copy_from_slice(&version);
        block
    }

    fn tail(block: &Block) -> String {
        hex(&block[BLOCK_LEN - DIGEST_LEN..])
    }

    /// A first block, the second block that answers it, and where and what their digests are.
    struct Vector {
        layout: Layout,
        at: usize,
        first: &'static str,
        whole: Option<&'static str>,
        second: &'static str,
    }

    fn check(vectors: [Vector; 2], unsigned: Block, signer: &Key, noise: Block, answerer: &Key) {
        for vector in vectors {
            let mut block = unsigned;
            assert_eq!(find(&block, signer), None);
            sign(&mut block, vector.layout, signer);
            let (layout, digest) = find(&block, signer).unwrap();
            assert_eq!((layout, digest_at(&block, layout)), (vector.layout, vector.at));
            assert_eq!(hex(&digest), vector.first);
            if let Some(whole) = vector.whole {
                let sum: Vec<u8> = <Sha256 as sha2::Digest>::digest(block).to_vec();
                assert_eq!(hex(&sum), whole);
            }
            let mut answer = noise;
            seal(&mut answer, answerer, &digest);
            assert_eq!(answer[..BLOCK_LEN - DIGEST_LEN], noise[..BLOCK_LEN - DIGEST_LEN]);
            assert_eq!(tail(&answer), vector.second);
        }
    }

    #[test]
    fn c1_and_s2_have_the_known_digests_in_both_layouts() {
        let vectors = [
            Vector {
                layout: Layout::DigestFirst,
                at: 450,
                first: "881e5e62d39a04067e5b416cff5d71da1ade0c7b7c5164adb00436674ea7aaef",
                whole: Some("fb0a430436cae64eb8fa475feefd1a5d0c5b62b38a0ebb10c6b09058f4d395e5"),
                second: "09980b9bf4c94f032aa72546fc511000f128cd83ab0b4949cff48a3dc0f765f1",
            },
            Vector {
                layout: Layout::KeyFirst,
                at: 1486,
                first: "3ec6a11071608ce7770b8df3fec4a0a48f366bb95b4e66485506bbbcbaaf1e5d",
                whole: Some("60d3d31c1924bf05e53f9cc557ee25de8d8167cb994b0e1289fa2bd0062ad78b"),
                second: "1487b78ee397e04963d750550d1ab996a454af5adcbfb5514acfbf8f2bbce7cd",
            },
        ];
        check(vectors, pattern(31, 7, [0x80, 0, 7, 2]), &PLAYER, from_fn(|i| (i * 17 + 3) as u8), &SERVER);
    }

    #[test]
    fn s1_and_c2_have_the_known_digests_in_both_layouts() {
        let vectors = [
            Vector {
                layout: Layout::DigestFirst,
                at: 526,
                first: "76935d59486c13c36fb1ff6f57ece1b75d635d3589a5d5151c241da3a3a11e03",
                whole: None,
                second: "57a96e910288b2be6f4097ae9ea81af07a650b5f8fee5b8cdbdd2a21e72363fa",
            },
            Vector {
                layout: Layout::KeyFirst,
                at: 1082,
                first: "f76f22122608a290f96c7bf9ea8d85c5353dca8b235402447f6ec1e11f0e0f7c",
                whole: None,
                second: "71ec26cb62db75a407f6b5919b2d416ad74271b845fb3c9e86a1a094ac782c59",
            },
        ];
        check(vectors, pattern(13, 5, [1, 0, 5, 4]), &SERVER, from_fn(|i| (i * 11 + 9) as u8), &PLAYER);
    }

    #[test]
    fn a_digest_of_another_key_or_with_one_bit_changed_is_none() {
        let mut block = pattern(31, 7, [0x80, 0, 7, 2]);
        sign(&mut block, Layout::KeyFirst, &PLAYER);
        assert_eq!(find(&block, &SERVER), None);
        for at in [0, 9, 700, 1486, BLOCK_LEN - 1] {
            let mut changed = block;
            changed[at] ^= 1;
            assert_eq!(find(&changed, &PLAYER), None, "byte {at}");
        }
    }

    #[test]
    fn the_digest_stays_inside_for_every_sum_of_offset_bytes() {
        for (layout, last) in [(Layout::DigestFirst, 772), (Layout::KeyFirst, BLOCK_LEN)] {
            for sum in 0..=1020_usize {
                let mut block = [0; BLOCK_LEN];
                let half = if layout == Layout::DigestFirst { 8 } else { 772 };
                for i in 0..4 {
                    block[half + i] = sum.saturating_sub(i * 255).min(255) as u8;
                }
                assert!(digest_at(&block, layout) + DIGEST_LEN <= last);
                sign(&mut block, layout, &PLAYER);
                assert!(find(&block, &PLAYER).is_some());
            }
        }
    }
}
