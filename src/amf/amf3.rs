//! AMF3: a value behind the AMF0 marker 0x11 -> [`Value`], and back.
//!
//! Covers every marker, the three reference tables, traits, and the two externalizable classes that are nothing
//! but a wrapper (ArrayCollection, ObjectProxy). Not here: reading a whole message (`amf0`).
//! State: `Tables`, shared by all AMF3 values of a message. Bounds: the message's [`super::Budget`].
//!
//! What [`Value`] has no form for: a vector becomes a strict array, a dictionary an ECMA array (keys that
//! are objects lose what they hold), an array with keys and elements an ECMA array with the elements under "0", "1", ...

use super::{
    DecodeErrorKind, Object, Value,
    decode::Decode,
    input::{Input, References, text},
};
use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

/// What AMF3 values of a message can refer to.
#[derive(Debug, Default)]
pub(super) struct Tables<'a> {
    /// Every string but the empty one, keys and class names included.
    strings: Vec<&'a [u8]>,
    /// Every object, array, date, XML, byte array, vector and dictionary.
    objects: References,
    traits: Vec<Arc<Traits<'a>>>,
}

/// The shape of an object.
#[derive(Debug)]
struct Traits<'a> {
    /// Empty: anonymous.
    class: &'a [u8],
    /// Names of the members whose values follow in this order.
    sealed: Vec<&'a [u8]>,
    /// What follows the sealed members.
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Nothing.
    Sealed,
    /// More members, each with its key.
    Dynamic,
    /// There are no members: the class writes itself as it likes.
    Externalizable,
}

/// Decodes one value in the middle of a message.
pub(super) struct Reader<'r, 'a> {
    input: &'r mut Input<'a>,
    tables: &'r mut Tables<'a>,
}

impl<'r, 'a> Reader<'r, 'a> {
    pub(super) fn new(input: &'r mut Input<'a>, tables: &'r mut Tables<'a>) -> Reader<'r, 'a> {
        Reader { input, tables }
    }

    /// A value that stands in the object table, or a reference to one.
    fn referable(&mut self, marker: u8, at: usize) -> Option<Value> {
        let header = self.u29()?;
        let argument = header >> 1;
        if header & 1 == 0 {
            return self.reference(argument, at);
        }
        let entry = self.tables.objects.open(self.input, at);
        let value = match marker {
            XML_DOCUMENT | XML => self.bytes(argument, 1).map(|bytes| Value::Xml(text(bytes))),
            DATE => self.input.f64().map(Value::Date),
            BYTE_ARRAY => self.bytes(argument, 1).map(|bytes| Value::ByteArray(bytes.to_vec())),
            _ => self.container(marker, argument),
        };
        self.tables.objects.close(self.input, entry);
        value
    }

    fn reference(&mut self, index: u32, at: usize) -> Option<Value> {
        let referent = self.tables.objects.resolve(self.input, index as usize, at)?;
        self.referent(&referent)
    }

    /// A value that holds others, one level deeper. `argument` is its count, or what describes its traits.
    fn container(&mut self, marker: u8, argument: u32) -> Option<Value> {
        self.input.enter()?;
        let value = match marker {
            ARRAY => Some(self.array(argument)),
            OBJECT => self.object(argument),
            VECTOR_INT => self.vector(argument, |word: [u8; 4]| i32::from_be_bytes(word).into()),
            VECTOR_UINT => self.vector(argument, |word: [u8; 4]| u32::from_be_bytes(word).into()),
            VECTOR_NUMBER => self.vector(argument, f64::from_be_bytes),
            VECTOR_OBJECT => self.vector_of_objects(argument),
            // DICTIONARY: `value` lets no other marker through.
            _ => self.dictionary(argument),
        };
        self.input.leave();
        value
    }

    fn array(&mut self, count: u32) -> Value {
        let mut keyed = self.properties();
        let elements = if self.input.is_sound() { self.values(count) } else { Vec::new() };
        if keyed.is_empty() {
            return Value::StrictArray(elements);
        }
        for (index, element) in elements.into_iter().enumerate() {
            keyed.push(index.to_string(), element);
        }
        Value::EcmaArray(keyed)
    }

    fn object(&mut self, argument: u32) -> Option<Value> {
        let traits = self.traits(argument)?;
        if traits.form == Form::Externalizable {
            return match traits.class {
                b"flex.messaging.io.ArrayCollection" | b"flex.messaging.io.ObjectProxy" => self.value(),
                _ => self.input.fail(DecodeErrorKind::Externalizable, self.input.position()),
            };
        }
        self.input.charge_copy(traits.class.len())?;
        let mut properties = Object::new();
        for name in &traits.sealed {
            let value = self.input.charge_copy(name.len()).and_then(|()| self.value());
            let Some(value) = value else { break };
            properties.push(text(name), value);
            if !self.input.is_sound() {
                break;
            }
        }
        if traits.form == Form::Dynamic && self.input.is_sound() {
            properties.0.append(&mut self.properties().0);
        }
        Some(if traits.class.is_empty() {
            Value::Object(properties)
        } else {
            Value::TypedObject { class: text(traits.class), properties }
        })
    }

    fn traits(&mut self, argument: u32) -> Option<Arc<Traits<'a>>> {
        if argument & 1 == 0 {
            let known = self.tables.traits.get((argument >> 1) as usize).cloned();
            return known.or_else(|| self.input.fail(DecodeErrorKind::Reference, self.input.position()));
        }
        let form = match (argument >> 1) & 0b11 {
            0b00 => Form::Sealed,
            0b10 => Form::Dynamic,
            _ => Form::Externalizable,
        };
        let class = self.string()?;
        let mut sealed = Vec::new();
        if form != Form::Externalizable {
            for _ in 0..argument >> 3 {
                // Names outlive their object, so they are paid for as if they were values.
                self.input.charge(1)?;
                sealed.push(self.string()?);
            }
        }
        let traits = Arc::new(Traits { class, sealed, form });
        if !self.input.is_repeating() {
            self.tables.traits.push(traits.clone());
        }
        Some(traits)
    }

    fn vector<const N: usize>(&mut self, count: u32, number: fn([u8; N]) -> f64) -> Option<Value> {
        self.input.u8()?; // fixed length or not: of no use to a reader
        let bytes = self.bytes(count, N)?;
        self.input.charge(count as usize)?;
        let words = bytes.chunks_exact(N).filter_map(|word| word.try_into().ok());
        Some(Value::StrictArray(words.map(|word| Value::Number(number(word))).collect()))
    }

    fn vector_of_objects(&mut self, count: u32) -> Option<Value> {
        self.input.u8()?; // fixed length or not
        self.string()?; // class of the elements, which say their own
        Some(Value::StrictArray(self.values(count)))
    }

    fn dictionary(&mut self, count: u32) -> Option<Value> {
        self.input.u8()?; // weak keys or not
        let mut entries = Object::new();
        for _ in 0..count {
            let Some(key) = self.value() else { break };
            let value = if self.input.is_sound() { self.value() } else { None };
            let Some(value) = value else { break };
            let key = match key {
                Value::String(key) => key,
                Value::Number(_) | Value::Boolean(_) => key.to_string(),
                // Not its text: dictionaries as keys of dictionaries double the quotes at every level.
                _ => "[object Object]".into(),
            };
            entries.push(key, value);
            if !self.input.is_sound() {
                break;
            }
        }
        Some(Value::EcmaArray(entries))
    }

    /// A string, or a reference to one.
    fn string(&mut self) -> Option<&'a [u8]> {
        let at = self.input.position();
        let header = self.u29()?;
        if header & 1 == 0 {
            let Some(known) = self.tables.strings.get((header >> 1) as usize) else {
                return self.input.fail(DecodeErrorKind::Reference, at);
            };
            self.input.charge_copy(known.len())?;
            return Some(known);
        }
        let bytes = self.bytes(header >> 1, 1)?;
        if !bytes.is_empty() && !self.input.is_repeating() {
            self.tables.strings.push(bytes);
        }
        Some(bytes)
    }

    /// `count` items of `width` bytes. Counts have 28 bits, so that eight bytes each fit any address space.
    fn bytes(&mut self, count: u32, width: usize) -> Option<&'a [u8]> {
        self.input.take(count as usize * width)
    }

    /// One to four bytes, seven bits each, the top bit saying that more follow; the fourth holds eight bits.
    fn u29(&mut self) -> Option<u32> {
        let mut number = 0;
        for _ in 0..3 {
            let byte = u32::from(self.input.u8()?);
            number = (number << 7) | (byte & 0x7f);
            if byte < 0x80 {
                return Some(number);
            }
        }
        Some((number << 8) | u32::from(self.input.u8()?))
    }
}

impl<'a> Decode<'a> for Reader<'_, 'a> {
    fn input(&mut self) -> &mut Input<'a> {
        self.input
    }

    fn value(&mut self) -> Option<Value> {
        let at = self.input.position();
        Some(match self.input.marker()? {
            UNDEFINED => Value::Undefined,
            NULL => Value::Null,
            FALSE => Value::Boolean(false),
            TRUE => Value::Boolean(true),
            INTEGER => {
                // 29 bits with a sign: up to the top of the word and down again.
                let number = (self.u29()? << 3) as i32 >> 3;
                Value::Number(f64::from(number))
            }
            DOUBLE => Value::Number(self.input.f64()?),
            STRING => Value::String(text(self.string()?)),
            marker @ XML_DOCUMENT..=DICTIONARY => return self.referable(marker, at),
            marker => return self.input.fail(DecodeErrorKind::Marker(marker), at),
        })
    }

    /// The empty key is behind the last one.
    fn property(&mut self) -> Option<(String, Value)> {
        let key = self.string()?;
        if key.is_empty() {
            return None;
        }
        Some((text(key), self.value()?))
    }
}

/// Appends a value to `out`, without the marker 0x11 that precedes it in AMF0.
///
/// Never writes references. Whole numbers that fit are written as integers. An ECMA array that is empty decodes
/// as a strict one, and `Unsupported` as undefined, as AMF3 does not tell them apart. A property with an empty key
/// is left out: that key is the end mark.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => encode_number(*number, out),
        Value::Boolean(flag) => out.push(if *flag { TRUE } else { FALSE }),
        Value::String(text) => {
            out.push(STRING);
            encode_bytes(text.as_bytes(), out);
        }
        Value::Object(properties) => encode_object("", properties, out),
        Value::Null => out.push(NULL),
        Value::Undefined | Value::Unsupported => out.push(UNDEFINED),
        Value::EcmaArray(properties) => {
            out.push(ARRAY);
            encode_u29(1, out);
            encode_members(properties, out);
        }
        Value::StrictArray(values) => {
            out.push(ARRAY);
            let values = &values[..values.len().min(MAX_LEN)];
            encode_len(values.len(), out);
            out.push(EMPTY_KEY);
            for value in values {
                encode(value, out);
            }
        }
        Value::Date(ms) => {
            out.extend([DATE, 1]);
            out.extend(ms.to_be_bytes());
        }
        Value::Xml(text) => {
            out.push(XML);
            encode_bytes(text.as_bytes(), out);
        }
        Value::TypedObject { class, properties } => encode_object(class, properties, out),
        Value::ByteArray(bytes) => {
            out.push(BYTE_ARRAY);
            encode_bytes(bytes, out);
        }
    }
}

fn encode_number(number: f64, out: &mut Vec<u8>) {
    let integer = number as i32;
    let is_exact = f64::from(integer).to_bits() == number.to_bits();
    if is_exact && (-(1 << 28)..1 << 28).contains(&integer) {
        out.push(INTEGER);
        encode_u29(integer as u32 & MAX_U29, out);
    } else {
        out.push(DOUBLE);
        out.extend(number.to_be_bytes());
    }
}

fn encode_object(class: &str, properties: &Object, out: &mut Vec<u8>) {
    out.extend([OBJECT, DYNAMIC_WITHOUT_SEALED]);
    encode_bytes(class.as_bytes(), out);
    encode_members(properties, out);
}

fn encode_members(members: &Object, out: &mut Vec<u8>) {
    for (key, value) in members.iter().filter(|(key, _)| !key.is_empty()) {
        encode_bytes(key.as_bytes(), out);
        encode(value, out);
    }
    out.push(EMPTY_KEY);
}

/// Bytes and their length. Cut at 256 MiB, which no message can hold anyway.
fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let bytes = &bytes[..bytes.len().min(MAX_LEN)];
    encode_len(bytes.len(), out);
    out.extend(bytes);
}

/// A length or count with the bit that says it is not a reference. `len` is at most [`MAX_LEN`].
fn encode_len(len: usize, out: &mut Vec<u8>) {
    encode_u29(((len as u32) << 1) | 1, out);
}

/// The shortest form. `number` is at most [`MAX_U29`].
fn encode_u29(number: u32, out: &mut Vec<u8>) {
    let low = |shift: u32| (number >> shift) as u8 & 0x7f;
    let more = |shift: u32| low(shift) | 0x80;
    match number {
        0..0x80 => out.push(low(0)),
        0x80..0x4000 => out.extend([more(7), low(0)]),
        0x4000..0x20_0000 => out.extend([more(14), more(7), low(0)]),
        _ => out.extend([more(22), more(15), more(8), number as u8]),
    }
}

const MAX_U29: u32 = 0x1fff_ffff;
/// Lengths and counts share their 29 bits with the bit that says "not a reference".
const MAX_LEN: usize = 0x0fff_ffff;
/// Length 0, inline.
const EMPTY_KEY: u8 = 0x01;
/// Inline object, inline traits, dynamic, no sealed members.
const DYNAMIC_WITHOUT_SEALED: u8 = 0b1011;

// Markers (AMF3, 3.1).
const UNDEFINED: u8 = 0x00;
const NULL: u8 = 0x01;
const FALSE: u8 = 0x02;
const TRUE: u8 = 0x03;
const INTEGER: u8 = 0x04;
const DOUBLE: u8 = 0x05;
const STRING: u8 = 0x06;
const XML_DOCUMENT: u8 = 0x07;
const DATE: u8 = 0x08;
const ARRAY: u8 = 0x09;
const OBJECT: u8 = 0x0a;
const XML: u8 = 0x0b;
const BYTE_ARRAY: u8 = 0x0c;
const VECTOR_INT: u8 = 0x0d;
const VECTOR_UINT: u8 = 0x0e;
const VECTOR_NUMBER: u8 = 0x0f;
const VECTOR_OBJECT: u8 = 0x10;
const DICTIONARY: u8 = 0x11;
