//! One value type for AMF0 and AMF3, with lenient access to what is inside.
//!
//! Writers disagree on types: numbers come as strings, booleans as numbers, objects as ECMA arrays. The `as_*`
//! accessors accept what has an obvious meaning, so that no reader of a command has to.

use alloc::{string::String, vec::Vec};
use core::fmt::{self, Write};

/// A decoded value. AMF3 forms map onto the AMF0 ones where there is one.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// 0x00; AMF3 integer and double.
    Number(f64),
    /// 0x01
    Boolean(bool),
    /// 0x02 and 0x0C: the length picks the form when encoded.
    String(String),
    /// 0x03
    Object(Object),
    /// 0x05
    Null,
    /// 0x06
    Undefined,
    /// 0x08; AMF3 arrays with keys, and dictionaries.
    EcmaArray(Object),
    /// 0x0A; AMF3 dense arrays and vectors.
    StrictArray(Vec<Value>),
    /// 0x0B: milliseconds since 1970-01-01 UTC. The time zone is not kept.
    Date(f64),
    /// 0x0D
    Unsupported,
    /// 0x0F; AMF3 XML and XMLDocument.
    Xml(String),
    /// 0x10
    TypedObject {
        /// Class name.
        class: String,
        /// Properties.
        properties: Object,
    },
    /// AMF3 only.
    ByteArray(Vec<u8>),
}

impl Value {
    /// The text of a string or XML document, without the NULs that some encoders leave at the end.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) | Value::Xml(text) => Some(text.trim_end_matches('\0')),
            _ => None,
        }
    }

    /// A number, also out of a string ("1.0") or a boolean. NaN and the infinities, which stand for "unknown" (the
    /// duration of a live stream), are absent.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Boolean(flag) => Some(f64::from(u8::from(*flag))),
            Value::String(_) => self.as_str()?.trim().parse().ok(),
            _ => None,
        }
        .filter(|number: &f64| number.is_finite())
    }

    /// A boolean, also out of a number (0 is false) or a string ("true", "1", ...).
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Boolean(flag) => Some(*flag),
            Value::String(_) if self.as_str()?.eq_ignore_ascii_case("true") => Some(true),
            Value::String(_) if self.as_str()?.eq_ignore_ascii_case("false") => Some(false),
            _ => self.as_number().map(|number| number != 0.0),
        }
    }

    /// The properties of an object of any kind.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(properties)
            | Value::EcmaArray(properties)
            | Value::TypedObject { properties, .. } => Some(properties),
            _ => None,
        }
    }

    /// Null or undefined, which clients send for an optional argument they do not use.
    pub fn is_absent(&self) -> bool {
        matches!(self, Value::Null | Value::Undefined)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Number(f64::from(number))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Boolean(flag)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl From<Object> for Value {
    fn from(properties: Object) -> Value {
        Value::Object(properties)
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Value {
        Value::StrictArray(values)
    }
}

/// Properties in the order they were sent. Of duplicate keys the last one counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(pub Vec<(String, Value)>);

impl Object {
    /// Without properties.
    pub const fn new() -> Object {
        Object(Vec::new())
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value under `key` in any mix of ASCII letter cases: "flashVer" comes as "flashver" as well.
    pub fn get_ignore_case(&self, key: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }

    /// Sets the value under `key`: in its place if there is one, else at the end.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().rev().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// Adds a property at the end, whatever is there.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.0.push((key.into(), value.into()));
    }

    /// Properties in order, duplicates included.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> + ExactSizeIterator {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many properties, duplicates included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No properties.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, const N: usize> From<[(K, Value); N]> for Object {
    fn from(properties: [(K, Value); N]) -> Object {
        properties.into_iter().collect()
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(properties: I) -> Object {
        Object(properties.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

/// One line, close to JSON, for transcripts and logs: `{"code":"NetStream.Play.Start","clientid":1}`. Kinds that
/// JSON does not have are named: `ecma{..}`, `date(0)`, `xml("..")`, `bytes(aabb)`, `"Class"{..}`. Line breaks
/// and other unprintable characters are escaped. As long as the value is: write it to something that stops.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write_number(f, *number),
            Value::Boolean(flag) => write!(f, "{flag}"),
            Value::String(text) => write_quoted(f, text),
            Value::Object(properties) => write!(f, "{properties}"),
            Value::Null => f.write_str("null"),
            Value::Undefined => f.write_str("undefined"),
            Value::EcmaArray(properties) => write!(f, "ecma{properties}"),
            Value::StrictArray(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{value}")?;
                }
                f.write_char(']')
            }
            Value::Date(ms) => {
                f.write_str("date(")?;
                write_number(f, *ms)?;
                f.write_char(')')
            }
            Value::Unsupported => f.write_str("unsupported"),
            Value::Xml(text) => {
                f.write_str("xml(")?;
                write_quoted(f, text)?;
                f.write_char(')')
            }
            Value::TypedObject { class, properties } => {
                write_quoted(f, class)?;
                write!(f, "{properties}")
            }
            Value::ByteArray(bytes) => {
                f.write_str("bytes(")?;
                for byte in bytes {
                    write!(f, "{byte:02x}")?;
                }
                f.write_char(')')
            }
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (index, (key, value)) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            write_quoted(f, key)?;
            write!(f, ":{value}")?;
        }
        f.write_char('}')
    }
}

/// Whole numbers without a fraction; the largest and smallest ones, which take hundreds of digits, with exponent.
fn write_number(f: &mut fmt::Formatter<'_>, number: f64) -> fmt::Result {
    let is_plain = number == 0.0 || (1e-6..1e16).contains(&number.abs()) || !number.is_finite();
    if is_plain { write!(f, "{number}") } else { write!(f, "{number:e}") }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for char in text.chars() {
        match char {
            '\'' => f.write_char(char)?,
            _ => write!(f, "{}", char.escape_debug())?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec};

    #[test]
    fn types_convert_where_the_meaning_is_obvious() {
        assert_eq!(Value::from("1.0").as_number(), Some(1.0));
        assert_eq!(Value::from(" 7\0").as_number(), Some(7.0));
        assert_eq!(Value::from(true).as_number(), Some(1.0));
        assert_eq!(Value::from("live").as_number(), None);
        assert_eq!(Value::Null.as_number(), None);
        assert_eq!(Value::from("TRUE").as_bool(), Some(true));
        assert_eq!(Value::from("false").as_bool(), Some(false));
        assert_eq!(Value::from("0").as_bool(), Some(false));
        assert_eq!(Value::from(2.0).as_bool(), Some(true));
        assert_eq!(Value::Undefined.as_bool(), None);
        assert_eq!(Value::from("key\0\0").as_str(), Some("key"));
        assert_eq!(Value::from(1.0).as_str(), None);
    }

    #[test]
    fn numbers_that_stand_for_unknown_are_absent() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Value::from(number).as_number(), None);
            assert_eq!(Value::from(number).as_bool(), None);
        }
        assert_eq!(Value::from("nan").as_number(), None);
        assert_eq!(Value::from("inf").as_number(), None);
    }

    #[test]
    fn every_kind_of_object_is_an_object() {
        let properties = Object::from([("a", 1.0.into())]);
        let typed = Value::TypedObject { class: "C".into(), properties: properties.clone() };
        for value in [Value::Object(properties.clone()), Value::EcmaArray(properties.clone()), typed] {
            assert_eq!(value.as_object(), Some(&properties));
        }
        assert_eq!(Value::Null.as_object(), None);
    }

    #[test]
    fn the_last_of_duplicate_keys_counts_and_order_is_kept() {
        let mut object = Object::from([("b", 1.0.into()), ("a", 2.0.into()), ("b", 3.0.into())]);
        assert_eq!(object.get("b"), Some(&3.0.into()));
        object.insert("a", 4.0);
        object.insert("b", 5.0);
        object.insert("c", true);
        assert_eq!(object.to_string(), r#"{"b":1,"a":4,"b":5,"c":true}"#);
    }

    #[test]
    fn keys_are_found_in_any_letter_case() {
        let object = Object::from([("flashver", "FMLE".into())]);
        assert_eq!(object.get("flashVer"), None);
        assert_eq!(object.get_ignore_case("flashVer"), Some(&"FMLE".into()));
    }

    #[test]
    fn a_value_prints_on_one_line() {
        let value = Value::StrictArray(vec![
            Value::EcmaArray(Object::from([("wi\"dth", 1280.0.into()), ("fps", 29.97.into())])),
            Value::TypedObject { class: "C".into(), properties: Object::new() },
            Value::from("it's\n\u{1b}[1m"),
            Value::Xml("<a/>".into()),
            Value::ByteArray(vec![0xaa, 0x0b]),
            Value::Date(1e18),
            Value::Number(f64::NAN),
            Value::Undefined,
        ]);
        assert_eq!(
            value.to_string(),
            r#"[ecma{"wi\"dth":1280,"fps":29.97},"C"{},"it's\n\u{1b}[1m",xml("<a/>"),bytes(aa0b),date(1e18),NaN,undefined]"#
        );
    }
}
