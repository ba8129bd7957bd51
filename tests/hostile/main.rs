//! What a peer can do to a session on purpose or by mistake: every limit, every trap of the field, floods, noise.
//!
//! Everything goes through the public API of `Session`, as bytes: no socket, no clock. Memory is measured, not
//! believed: this program counts what its allocator hands out (`memory`).
//! Not here: what well-behaved peers see (`pair`, `replay`), single layers (beside their code).

#![allow(unsafe_code, reason = "an allocator that counts cannot be written without it")]

mod floods;
mod limits;
#[path = "../support/memory.rs"]
mod memory;
mod noise;
mod peer;
mod traps;

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;
