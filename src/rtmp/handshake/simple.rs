//! Handshake blocks without digests: time, version, random bytes (RTMP 1.0, 5.2.3 and 5.2.4).
//!
//! The answer to such a block is its copy, which every known peer accepts and which needs no code.

use crate::base::{MonoTime, SplitMix64};

/// Bytes of C1, S1, C2 and S2.
pub(super) const BLOCK_LEN: usize = 1536;

/// One of them.
pub(super) type Block = [u8; BLOCK_LEN];

/// A first block: our clock, a product version (zero in the simple handshake), and noise.
pub(super) fn block(now: MonoTime, version: [u8; 4], random: &mut SplitMix64) -> Block {
    let mut block = random_block(random);
    // 32 bits of milliseconds: the epoch is arbitrary, and nobody reads it.
    block[..4].copy_from_slice(&(now.0 as u32).to_be_bytes());
    block[4..8].copy_from_slice(&version);
    block
}

/// Nothing but noise, for what a digest is put into.
pub(super) fn random_block(random: &mut SplitMix64) -> Block {
    let mut block = [0; BLOCK_LEN];
    for bytes in block.chunks_exact_mut(8) {
        bytes.copy_from_slice(&random.next().to_be_bytes());
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_time_and_version_in_front_of_noise() {
        let block = block(MonoTime(0x1_0102_0304), [5, 6, 7, 8], &mut SplitMix64(1));
        assert_eq!(block[..8], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(block[8..], random_block(&mut SplitMix64(1))[8..]);
        assert_ne!(block[8..], random_block(&mut SplitMix64(2))[8..]);
    }
}
