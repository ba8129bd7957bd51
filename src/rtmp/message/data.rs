//! Data messages (types 18 and 15): brought into the one form tags have.
//!
//! A data tag is an AMF0 body. From a publisher the leading "@setDataFrame" is removed by slicing; all other bytes
//! stay as they were sent. Type 15 loses its format byte, and values in AMF3 are written again as AMF0, since
//! players (ffmpeg) read no AMF3.

use super::{Ignored, command::skip_format_byte, type_id};
use crate::{
    amf::{Budget, amf0},
    base::{Payload, Timestamp},
    flv::{Tag, TagKind, data},
    rtmp::chunk::MAX_MESSAGE_LEN,
};
use alloc::vec::Vec;
use core::fmt;

/// The tag of a data message body of type 18 or 15.
pub(super) fn to_tag(type_id: u8, timestamp: Timestamp, body: Payload) -> Result<Tag, Ignored> {
    let body = if type_id == type_id::DATA_AMF3 { to_amf0(&body)? } else { body };
    Ok(Tag::new(TagKind::Data, timestamp, data::relayed(&body)))
}

/// A body without any byte 0x11, the switch to AMF3, is AMF0 behind its format byte.
fn to_amf0(body: &Payload) -> Result<Payload, Ignored> {
    const SWITCH_TO_AMF3: u8 = 0x11;
    let values = skip_format_byte(type_id::DATA_AMF3, body);
    if !values.contains(&SWITCH_TO_AMF3) {
        return Ok(body.slice(body.len() - values.len()..body.len()));
    }
    let (values, error) = amf0::decode_all(values, Budget::default());
    if error.is_some() {
        return Err(Ignored::Undecodable);
    }
    let mut out = Vec::new();
    values.iter().for_each(|value| amf0::encode(value, &mut out));
    // Longer than any message can be.
    if out.len() > MAX_MESSAGE_LEN {
        return Err(Ignored::Undecodable);
    }
    Ok(out.into())
}

/// The values of a data body, for people.
pub(super) fn describe(body: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (values, error) = amf0::decode_all(body, Budget::default());
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            f.write_str(" ")?;
        }
        write!(f, "{value}")?;
    }
    match error {
        Some(error) => write!(f, " ({error})"),
        None => Ok(()),
    }
}
