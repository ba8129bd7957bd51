//! The body of the fuzz target `amf`, which unit tests run as well.

use super::{Budget, DecodeErrorKind, Value, amf0, amf3};
use alloc::{string::ToString, vec, vec::Vec};

/// Decodes `data` as a message and checks what must hold for any bytes:
///
/// - the budget is kept, in values, in depth and in bytes;
/// - what was decoded encodes to AMF0 and AMF3 that decodes without error, and to the same bytes from then on;
/// - one value after the other gives what all at once gives.
///
/// # Panics
/// If one of them does not.
pub fn fuzz(data: &[u8]) {
    for (depth, values) in [(32, 100_000), (3, 20)] {
        let (decoded, error) = amf0::decode_all(data, Budget::new(depth, values));
        check_budget(&decoded, depth, values, data.len());
        check_error(error.map(|error| (error.kind, error.offset)), data.len());
        check_one_by_one(data, Budget::new(depth, values), &decoded, error.is_some());
        for value in &decoded {
            check_round_trip(value, depth, &[], amf0::encode);
            check_round_trip(value, depth, &[0x11], amf3::encode);
        }
    }
}

fn check_budget(decoded: &[Value], depth: usize, values: usize, len: usize) {
    let mut total = Size::default();
    for value in decoded {
        total.add(value, 0);
    }
    assert!(total.depth <= depth, "nested {} deep of {depth}", total.depth);
    assert!(total.values <= values, "{} values of {values}", total.values);
    // A byte that is no UTF-8 takes three, what references repeat is paid for at 16 bytes a value or is shorter
    // than that, and keys that are made up have at most 24.
    assert!(total.bytes <= 3 * (len + 32 * values), "{} bytes out of {len}", total.bytes);
}

fn check_error(error: Option<(DecodeErrorKind, usize)>, len: usize) {
    if let Some((_, offset)) = error {
        assert!(offset <= len, "error at {offset} of {len}");
    }
}

fn check_one_by_one(data: &[u8], budget: Budget, decoded: &[Value], failed: bool) {
    let mut decoder = amf0::Decoder::new(data, budget);
    let mut whole = 0;
    let end = loop {
        match decoder.next_value() {
            Ok(Some(value)) => assert_eq!(value.to_string(), decoded[whole].to_string()),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        whole += 1;
    };
    assert_eq!(end.is_some(), failed);
    assert!(decoded.len() - whole <= usize::from(failed), "only the last value may be a part");
    assert!(failed || decoder.position() == data.len());
    assert_eq!(decoder.next_value().err(), end, "errors stay");
}

/// Compares bytes, as NaN does not equal itself.
fn check_round_trip(value: &Value, depth: usize, prefix: &[u8], encode: fn(&Value, &mut Vec<u8>)) {
    let encoded = |value| {
        let mut bytes = prefix.to_vec();
        encode(value, &mut bytes);
        bytes
    };
    let bytes = encoded(value);
    // A value costs one, one more behind the marker 0x11.
    let (again, error) = amf0::decode_all(&bytes, Budget::new(depth, 200_002));
    assert_eq!(error, None, "{value}");
    assert_eq!(again.iter().map(encoded).collect::<Vec<_>>(), vec![bytes], "{value}");
}

/// How much values hold.
#[derive(Default)]
struct Size {
    values: usize,
    depth: usize,
    bytes: usize,
}

impl Size {
    fn add(&mut self, value: &Value, depth: usize) {
        self.values += 1;
        match value {
            Value::String(text) | Value::Xml(text) => self.bytes += text.len(),
            Value::ByteArray(bytes) => self.bytes += bytes.len(),
            Value::StrictArray(values) => {
                self.depth = self.depth.max(depth + 1);
                values.iter().for_each(|value| self.add(value, depth + 1));
            }
            _ => {}
        }
        if let Value::TypedObject { class, .. } = value {
            self.bytes += class.len();
        }
        if let Some(properties) = value.as_object() {
            self.depth = self.depth.max(depth + 1);
            for (key, value) in properties.iter() {
                self.bytes += key.len();
                self.add(value, depth + 1);
            }
        }
    }
}
