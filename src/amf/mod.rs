//! AMF0 and AMF3: the values inside RTMP commands, data messages and FLV script tags.
//!
//! In: a message body and a [`Budget`]. Out: [`Value`]s, and bytes again. Both formats decode into the one
//! [`Value`]; AMF3 only ever occurs inside AMF0, behind the marker 0x11, so [`amf0::Decoder`] is the only way in.
//! Not here: what the values mean (`rtmp::message`), and the format byte that opens messages of type 15 and 17.
//!
//! ```
//! use weir::amf::{Budget, Object, Value, amf0};
//!
//! let status = Object::from([("level", "status".into()), ("code", "NetStream.Play.Start".into())]);
//! let mut body = Vec::new();
//! for value in ["onStatus".into(), 0.0.into(), Value::Null, status.into()] {
//!     amf0::encode(&value, &mut body);
//! }
//!
//! let (values, error) = amf0::decode_all(&body, Budget::default());
//! assert_eq!(error, None);
//! let info = values[3].as_object().unwrap();
//! assert_eq!(info.get("code").and_then(Value::as_str), Some("NetStream.Play.Start"));
//! ```

pub mod amf0;
pub mod amf3;
mod decode;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
mod input;
#[cfg(test)]
mod tests;
pub mod value;

#[cfg(any(test, feature = "fuzzing"))]
pub use fuzz::fuzz;
pub use input::{Budget, DecodeError, DecodeErrorKind};
pub use value::{Object, Value};
