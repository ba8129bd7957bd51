//! Micro benches of the core: time, allocations and bytes per second of each layer, and the memory of an idle
//! connection.
//!
//! `allocs` are those of one iteration. Iterations named after a message (`keyframe`, `frame`, `sound`, `connect`,
//! ...) are one message; a GOP is the messages of two seconds of the stream that `load` publishes. AMF and
//! handshakes are what OBS sent, from `tests/data/captures`.

#![allow(unsafe_code, reason = "an allocator that counts cannot be written without it")]
#![expect(clippy::std_instead_of_core, reason = "a program has std anyway")]

mod layers;
mod material;
#[path = "../../tests/support/memory.rs"]
mod memory;
#[path = "../../tests/support/pair.rs"]
mod pair;
mod sessions;
#[path = "../load/stream.rs"]
#[allow(dead_code, reason = "checking what arrived is for load")]
mod stream;

use divan::AllocProfiler;
use memory::Counting;
use std::io::{self, Write};

#[global_allocator]
static COUNTING: AllocProfiler<Counting> = AllocProfiler::new(Counting);

fn main() {
    let idle = sessions::idle_bytes();
    // A closed standard output is the reader's choice.
    let _ = writeln!(io::stdout(), "bytes of a connected, idle server session: {idle}\n");
    divan::main();
}
