//! RTP: tags as packets and packets as tags, the reports beside them (RTCP), and the description of both (SDP).
//!
//! | module | what |
//! |---|---|
//! | [`format`] | one track as RTP carries it: codec, payload type, clock, configuration |
//! | [`packet`] | headers of packets (RFC 3550 5.1) |
//! | [`rtcp`] | reports and goodbyes (RFC 3550 6) |
//! | [`receive`] | packets of all tracks -> tags |
//! | [`sdp`] | descriptions of presentations |
//! | [`send`] | tags -> packets |
//!
//! Not here: who talks to whom about it (RTSP), sockets.

pub mod format;
pub mod packet;
pub mod receive;
pub mod rtcp;
pub mod sdp;
pub mod send;

pub use format::{Format, Packing};
