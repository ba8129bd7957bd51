//! The body of `onMetaData`: properties <-> bytes.
//!
//! Written as an ECMA array, because ffmpeg looks for the tracks it is to expect in no other value; read from objects as well,
//! as some send them.
//! Not here: which properties there are.

use super::data;
use crate::amf::{Budget, Object, Value, amf0};
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
