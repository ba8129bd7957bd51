//! AMF0: bytes of a message -> values, and back.
//!
//! Covers every marker, references, and the switch to AMF3 for one value (0x11). Not here: the AMF3 values
//! themselves (`amf3`). Bounds: [`Budget`]; nothing is allocated on the word of a length or count.
//!
//! Field notes, all decoded leniently: ECMA array counts lie, so they are not looked at · objects at the end of a
//! message lack their end marker, or have half of it · an empty key that no end marker follows is a real key ·
//! an end marker stands where a value should. Tests: `endings_that_writers_get_wrong`, `counts_that_lie`.

use super::{
    Budget, DecodeError, DecodeErrorKind, Object, Value, amf3,
    decode::Decode,
    input::{Input, References, text},
};
use alloc::{string::String, vec::Vec};

/// The values of one message, one after the other. Reference tables, those of AMF3 included, live as long.
#[derive(Debug)]
pub struct Decoder<'a> {
    input: Input<'a>,
    references: References,
    amf3: amf3::Tables<'a>,
}

impl<'a> Decoder<'a> {
    /// Decodes `bytes`: a message body, without the format byte of message types 15 and 17.
    pub fn new(bytes: &'a [u8], budget: Budget) -> Decoder<'a> {
        Decoder {
            input: Input::new(bytes, budget),
            references: References::default(),
            amf3: amf3::Tables::default(),
        }
    }

    /// The next value; `None` at the end. After an error, the same error again: without knowing where a value
    /// ends, the next one cannot be found.
    pub fn next_value(&mut self) -> Result<Option<Value>, DecodeError> {
        let value = self.next_or_part();
        self.input.failure().map_or(Ok(value), Err)
    }

    /// Bytes decoded so far; what lies behind is untouched.
    pub fn position(&self) -> usize {
        self.input.position()
    }

    /// The next value, or as much of a container as was decoded before a failure.
    fn next_or_part(&mut self) -> Option<Value> {
        while self.input.is_sound() && !self.input.rest().is_empty() {
            let value = self.value();
            if value.is_some() {
                return value;
            }
            // An end marker that ends nothing: ffmpeg takes it for a value of one byte and goes on as well.
        }
        None
    }

    /// What `content` reads, one level deeper, as an entry of the reference table.
    fn container<T>(&mut self, at: usize, content: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.input.enter()?;
        let entry = self.references.open(&self.input, at);
        let content = content(self);
        self.references.close(&self.input, entry);
        self.input.leave();
        Some(content)
    }

    fn reference(&mut self, at: usize) -> Option<Value> {
        let index = self.input.u16()?;
        let referent = self.references.resolve(&mut self.input, usize::from(index), at)?;
        self.referent(&referent)
    }

    fn short_bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.input.u16()?;
        self.input.take(usize::from(len))
    }

    fn long_bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.input.u32()?;
        self.input.take(usize::try_from(len).unwrap_or(usize::MAX))
    }
}

impl<'a> Decode<'a> for Decoder<'a> {
    fn input(&mut self) -> &mut Input<'a> {
        &mut self.input
    }

    /// `None` for an end marker in its place as well.
    fn value(&mut self) -> Option<Value> {
        let at = self.input.position();
        Some(match self.input.marker()? {
            NUMBER => Value::Number(self.input.f64()?),
            BOOLEAN => Value::Boolean(self.input.u8()? != 0),
            STRING => Value::String(text(self.short_bytes()?)),
            OBJECT => Value::Object(self.container(at, Self::properties)?),
            NULL => Value::Null,
            UNDEFINED => Value::Undefined,
            REFERENCE => return self.reference(at),
            ECMA_ARRAY => {
                self.input.u32()?;
                Value::EcmaArray(self.container(at, Self::properties)?)
            }
            OBJECT_END => return None,
            STRICT_ARRAY => {
                let count = self.input.u32()?;
                Value::StrictArray(self.container(at, |decoder| decoder.values(count))?)
            }
            DATE => {
                let ms = self.input.f64()?;
                self.input.u16()?;
                Value::Date(ms)
            }
            LONG_STRING => Value::String(text(self.long_bytes()?)),
            UNSUPPORTED => Value::Unsupported,
            XML => Value::Xml(text(self.long_bytes()?)),
            TYPED_OBJECT => {
                let class = text(self.short_bytes()?);
                Value::TypedObject { class, properties: self.container(at, Self::properties)? }
            }
            AVM_PLUS => return amf3::Reader::new(&mut self.input, &mut self.amf3).value(),
            marker => return self.input.fail(DecodeErrorKind::Marker(marker), at),
        })
    }

    fn property(&mut self) -> Option<(String, Value)> {
        if let rest @ ([] | [0] | [0, 0] | [0, 0, OBJECT_END, ..]) = self.input.rest() {
            self.input.take(rest.len().min(3))?;
            return None;
        }
        let key = text(self.short_bytes()?);
        Some((key, self.value()?))
    }
}

/// All values of a message. On an error those before it, the last of which may be an object or array that has lost
/// its end.
pub fn decode_all(bytes: &[u8], budget: Budget) -> (Vec<Value>, Option<DecodeError>) {
    let mut decoder = Decoder::new(bytes, budget);
    let mut values = Vec::new();
    while let Some(value) = decoder.next_or_part() {
        values.push(value);
    }
    (values, decoder.input.failure())
}

/// Appends a value to `out`.
///
/// Strings of more than 65 535 bytes take the long form. Keys and class names have none, and are cut. A byte array
/// goes out as AMF3 behind 0x11, the only way AMF0 can say it; do not send one to a peer that has not said
/// `objectEncoding` 3.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => {
            out.push(NUMBER);
            out.extend(number.to_be_bytes());
        }
        Value::Boolean(flag) => out.extend([BOOLEAN, u8::from(*flag)]),
        Value::String(text) if text.len() <= MAX_SHORT => {
            out.push(STRING);
            encode_short(text, out);
        }
        Value::String(text) => {
            out.push(LONG_STRING);
            encode_long(text, out);
        }
        Value::Object(properties) => {
            out.push(OBJECT);
            encode_properties(properties, out);
        }
        Value::Null => out.push(NULL),
        Value::Undefined => out.push(UNDEFINED),
        Value::EcmaArray(properties) => {
            out.push(ECMA_ARRAY);
            out.extend(count32(properties.len()).to_be_bytes());
            encode_properties(properties, out);
        }
        Value::StrictArray(values) => {
            let count = count32(values.len());
            out.push(STRICT_ARRAY);
            out.extend(count.to_be_bytes());
            for value in values {
                encode(value, out);
            }
        }
        Value::Date(ms) => {
            out.push(DATE);
            out.extend(ms.to_be_bytes());
            out.extend([0, 0]);
        }
        Value::Unsupported => out.push(UNSUPPORTED),
        Value::Xml(text) => {
            out.push(XML);
            encode_long(text, out);
        }
        Value::TypedObject { class, properties } => {
            out.push(TYPED_OBJECT);
            encode_short(class, out);
            encode_properties(properties, out);
        }
        Value::ByteArray(_) => {
            out.push(AVM_PLUS);
            amf3::encode(value, out);
        }
    }
}

fn encode_properties(properties: &Object, out: &mut Vec<u8>) {
    for (key, value) in properties.iter() {
        encode_short(key, out);
        encode(value, out);
    }
    out.extend([0, 0, OBJECT_END]);
}

fn encode_short(text: &str, out: &mut Vec<u8>) {
    let mut end = text.len().min(MAX_SHORT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.extend((end as u16).to_be_bytes());
    out.extend(&text.as_bytes()[..end]);
}

fn encode_long(text: &str, out: &mut Vec<u8>) {
    out.extend(count32(text.len()).to_be_bytes());
    out.extend(text.as_bytes());
}

/// Lengths and counts are those of values in memory, none of which comes near 4 GiB: messages end at 16 MiB.
fn count32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Longest string with a 16-bit length.
const MAX_SHORT: usize = 0xffff;

// Markers (AMF0, 2.1). 0x04 MovieClip and 0x0E RecordSet are reserved and never sent.
const NUMBER: u8 = 0x00;
const BOOLEAN: u8 = 0x01;
const STRING: u8 = 0x02;
const OBJECT: u8 = 0x03;
const NULL: u8 = 0x05;
const UNDEFINED: u8 = 0x06;
const REFERENCE: u8 = 0x07;
const ECMA_ARRAY: u8 = 0x08;
const OBJECT_END: u8 = 0x09;
const STRICT_ARRAY: u8 = 0x0a;
const DATE: u8 = 0x0b;
const LONG_STRING: u8 = 0x0c;
const UNSUPPORTED: u8 = 0x0d;
const XML: u8 = 0x0f;
const TYPED_OBJECT: u8 = 0x10;
const AVM_PLUS: u8 = 0x11;
