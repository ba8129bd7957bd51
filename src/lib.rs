//! weir: a media server whose protocol core does no I/O.
//!
//! | module | what | std? |
//! |---|---|---|
//! | [`amf`] | AMF0 and AMF3 values: decode with budgets, encode | no |
//! | [`flv`] | tags: the currency of the server; FLV reader and writer | no |
//! | [`rtmp`] | one RTMP connection as a state machine, client or server | no |
//!
//! With `--no-default-features` only the first three are built, for `no_std` with `alloc`.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod amf;
pub mod flv;
pub mod rtmp;
