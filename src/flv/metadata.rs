//! The body of `onMetaData`: properties <-> bytes.
//!
//! Written as an ECMA array, because ffmpeg looks for the tracks it is to expect in no other value; read from objects as well,
//! as some send them.
//! What is known of tracks becomes properties here as well. Not here: what files say besides (`media::metadata`).

use super::data;
use super::{Codec, Tag, TagKind};
use crate::{
    amf::{Budget, Object, Value, amf0},
    base::Timestamp,
};
use alloc::vec::Vec;

/// What the message is called.
pub const NAME: &str = "onMetaData";

/// The body with these properties.
pub fn encode(properties: Object) -> Vec<u8> {
    let mut body = Vec::new();
    amf0::encode(&NAME.into(), &mut body);
    amf0::encode(&Value::EcmaArray(properties), &mut body);
    body
}

/// The properties of a body; `None` if it is something else. Of a damaged one, those before the damage.
pub fn decode(body: &[u8], budget: Budget) -> Option<Object> {
    let (values, _) = amf0::decode_all(data::message(body), budget);
    let [name, properties, ..] = &values[..] else { return None };
    (name.as_str() == Some(NAME)).then(|| properties.as_object().cloned())?
}

/// A video track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoInfo {
    /// Its codec.
    pub codec: Codec,
    /// In pixels; 0 if nobody says.
    pub width: u32,
    /// In pixels; 0 if nobody says.
    pub height: u32,
    /// Frames per second on average; 0 if unknown.
    pub frame_rate: f64,
}

/// An audio track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioInfo {
    /// Its codec.
    pub codec: Codec,
    /// In Hz; 0 if unknown.
    pub sample_rate: u32,
    /// 0 if unknown.
    pub channels: u16,
}

/// Adds what players want to know of tracks before their frames.
pub fn insert_tracks(properties: &mut Object, video: Option<&VideoInfo>, audio: Option<&AudioInfo>) {
    if let Some(video) = video {
        for (key, value) in [("width", video.width), ("height", video.height)] {
            if value > 0 {
                properties.insert(key, value);
            }
        }
        if video.frame_rate > 0.0 {
            properties.insert("framerate", video.frame_rate);
        }
        if let Some(id) = codec_id(video.codec) {
            properties.insert("videocodecid", id);
        }
    }
    if let Some(audio) = audio {
        if audio.sample_rate > 0 {
            properties.insert("audiosamplerate", audio.sample_rate);
        }
        if audio.channels > 0 {
            properties.insert("audiochannels", u32::from(audio.channels));
            properties.insert("stereo", audio.channels > 1);
        }
        if let Some(id) = codec_id(audio.codec) {
            properties.insert("audiocodecid", id);
        }
    }
}

/// What a live stream of these tracks says, which has neither length nor end; `None` if there are none.
pub fn of_tracks(video: Option<&VideoInfo>, audio: Option<&AudioInfo>, timestamp: Timestamp) -> Option<Tag> {
    if video.is_none() && audio.is_none() {
        return None;
    }
    let mut properties = Object::from([("duration", 0.0.into())]);
    insert_tracks(&mut properties, video, audio);
    properties.insert("filesize", 0.0);
    properties.insert("canSeekToEnd", video.is_none());
    Some(Tag::new(TagKind::Data, timestamp, encode(properties).into()))
}

/// `videocodecid` and `audiocodecid`: the number in a classic tag's first byte, else the FourCC as a number (Enhanced RTMP 4).
fn codec_id(codec: Codec) -> Option<u32> {
    Some(match codec {
        Codec::H263 => 2,
        Codec::Screen => 3,
        Codec::Vp6 => 4,
        Codec::Vp6Alpha => 5,
        Codec::Screen2 => 6,
        Codec::H264 => 7,
        Codec::Pcm => 3,
        Codec::Adpcm => 1,
        Codec::Mp3 => 2,
        Codec::Nellymoser => 6,
        Codec::G711A => 7,
        Codec::G711U => 8,
        Codec::Aac => 10,
        Codec::Speex => 11,
        codec => return codec.fourcc().map(u32::from_be_bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(body: &[u8]) -> Option<Object> {
        decode(body, Budget::default())
    }

    #[test]
    fn what_is_written_is_read_again() {
        let properties = Object::from([("width", 640.0.into()), ("encoder", "x".into())]);
        let body = encode(properties.clone());
        assert!(body.starts_with(b"\x02\0\x0aonMetaData\x08\0\0\0\x02\0\x05width"));
        assert_eq!(decoded(&body), Some(properties.clone()));
        // As publishers send it, and as AMF3 data messages have it.
        assert_eq!(decoded(&[b"\0\x02\0\x0d@setDataFrame", &body[..]].concat()), Some(properties));
    }

    #[test]
    fn a_damaged_body_keeps_what_came_before() {
        let body = encode(Object::from([("width", 640.0.into()), ("height", 360.0.into())]));
        let cut = decoded(&body[..body.len() - 8]).unwrap();
        assert_eq!((cut.len(), cut.get("width")), (1, Some(&Value::Number(640.0))));
    }

    #[test]
    fn anything_else_has_no_properties() {
        for body in [
            &b""[..],
            b"\x02\0\x02hi\x08\0\0\0\0\0\0\x09",
            b"\x02\0\x0aonMetaData",
            b"\x02\0\x0aonMetaData\x05",
        ] {
            assert_eq!(decoded(body), None, "{body:x?}");
        }
    }
}
