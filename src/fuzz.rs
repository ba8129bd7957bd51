//! The bodies of the fuzz targets, by target name.
//!
//! Each takes any bytes and panics if a claim of its module does not hold. They live beside what they test and run
//! as unit tests on small inputs; `tools/fuzz/run.sh` runs them under libFuzzer. To add one: a line here, a file and a
//! `[[bin]]` in `tools/fuzz`, and a few small inputs in `tools/fuzz/seeds/NAME`.

pub use crate::{
    amf::fuzz as amf0,
    codec::fuzz as codec,
    flv::fuzz as flv,
    hls::fuzz::fuzz as hls,
    http::fuzz as http,
    mp4::fuzz::fuzz as mp4,
    rtmp::{
        chunk::fuzz as chunk,
        handshake::fuzz as handshake,
        message::fuzz as message,
        session::{fuzz_bytes as session_bytes, fuzz_ops as session_ops},
    },
    rtp::{receive::fuzz as rtp_receive, sdp::fuzz as sdp, send::fuzz as rtp_send},
    rtsp::{fuzz_client as rtsp_client, fuzz_session as rtsp_session},
};
