//! weir: a media server whose protocol core does no I/O.
//!
//! | module | what | std? |
//! |---|---|---|
//! | [`amf`] | AMF0 and AMF3 values: decode with budgets, encode | no |
//! | [`base`] | shared bytes, clocks, reading of fields: what all of them build on | no |
//! | [`codec`] | what is inside of tags: records, parameter sets, raw streams | no |
//! | [`flv`] | tags: the currency of the server; FLV reader and writer | no |
//! | [`http`] | one HTTP connection of a server as a state machine, WebSocket included | no |
//! | [`rtmp`] | one RTMP connection as a state machine, client or server | no |
//! | [`rtp`] | tags as RTP packets and back, RTCP, SDP | no |
//! | [`rtsp`] | one RTSP connection as a state machine, client or server | no |
//! | `hls` | a live stream as HLS and DASH, in memory | feature `std` |
//! | `media` | recorded files as tags, whoever reads their bytes | feature `std` |
//! | `mp4` | MP4 files: boxes, and writing them | feature `std` |
//! | `pcap` | captures of TCP conversations, read and written | feature `pcap` / `server` |
//! | `cli` | the flags of the program | feature `server` |
//! | `server` | sockets, threads, clocks, files: the only impure part | feature `server` |
//!
//! With `--no-default-features` only the first eight are built, for `no_std` with `alloc`.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod amf;
pub mod base;
#[cfg(feature = "server")]
pub mod cli;
pub mod codec;
pub mod flv;
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzz;
#[cfg(feature = "std")]
pub mod hls;
pub mod http;
#[cfg(feature = "std")]
pub mod media;
#[cfg(feature = "std")]
pub mod mp4;
#[cfg(any(feature = "pcap", feature = "server"))]
pub mod pcap;
pub mod rtmp;
pub mod rtp;
pub mod rtsp;
#[cfg(feature = "server")]
pub mod server;
