use super::{Budget, DecodeError, DecodeErrorKind::*, Object, Value, amf0, amf3, fuzz};
use alloc::{format, string::String, string::ToString, vec, vec::Vec};
use proptest::prelude::*;

/// AMF0 that has one form only: decodes to the value and encodes to the bytes.
fn canonical() -> Vec<(&'static str, Value)> {
    let a = |value: Value| Object::from([("a", value)]);
    vec![
        ("00 3ff0000000000000", 1.0.into()),
        ("00 fff0000000000000", f64::NEG_INFINITY.into()),
        ("01 01", true.into()),
        ("01 00", false.into()),
        ("02 0004 6c697665", "live".into()),
        ("02 0000", "".into()),
        ("02 0002 c3a9", "é".into()),
        ("03 0001 61 00 3ff0000000000000 000009", a(1.0.into()).into()),
        ("03 000009", Object::new().into()),
        ("05", Value::Null),
        ("06", Value::Undefined),
        ("08 00000001 0001 61 0101 000009", Value::EcmaArray(a(true.into()))),
        ("08 00000000 000009", Value::EcmaArray(Object::new())),
        ("0a 00000002 00 3ff0000000000000 02 0001 78", vec![1.0.into(), "x".into()].into()),
        ("0a 00000000", Value::StrictArray(vec![])),
        ("0b 0000000000000000 0000", Value::Date(0.0)),
        ("0d", Value::Unsupported),
        ("0f 00000004 3c612f3e", Value::Xml("<a/>".into())),
        (
            "10 0001 43 0001 61 05 000009",
            Value::TypedObject { class: "C".into(), properties: a(Value::Null) },
        ),
        ("11 0c 05 aabb", Value::ByteArray(vec![0xaa, 0xbb])),
        // FourCC of HEVC as a number, as in E-RTMP metadata
        ("00 41da1d98cc400000", f64::from(u32::from_be_bytes(*b"hvc1")).into()),
    ]
}

/// AMF3 as [`amf3::encode`] writes it.
fn canonical_amf3() -> Vec<(&'static str, Value)> {
    let a = |value: f64| Object::from([("a", value.into())]);
    vec![
        ("00", Value::Undefined),
        ("01", Value::Null),
        ("02", false.into()),
        ("03", true.into()),
        ("04 00", 0.0.into()),
        ("04 05", 5.0.into()),
        ("04 ffffffff", (-1.0).into()),
        ("04 7f", 127.0.into()),
        ("04 8100", 128.0.into()),
        ("04 ff7f", 16_383.0.into()),
        ("04 818000", 16_384.0.into()),
        ("04 ffff7f", 2_097_151.0.into()),
        ("04 80c08000", 2_097_152.0.into()),
        ("04 bfffffff", 268_435_455.0.into()),
        ("04 c0808000", (-268_435_456.0).into()),
        ("05 41b0000000000000", 268_435_456.0.into()),
        ("05 c1b0000001000000", (-268_435_457.0).into()),
        ("05 3fe0000000000000", 0.5.into()),
        ("05 8000000000000000", (-0.0).into()),
        ("06 05 6162", "ab".into()),
        ("06 01", "".into()),
        ("08 01 0000000000000000", Value::Date(0.0)),
        ("09 05 01 0401 0402", vec![1.0.into(), 2.0.into()].into()),
        ("09 01 03 61 0401 01", Value::EcmaArray(a(1.0))),
        ("0a 0b 01 03 61 0401 01", a(1.0).into()),
        ("0a 0b 03 43 03 61 0401 01", Value::TypedObject { class: "C".into(), properties: a(1.0) }),
        ("0b 09 3c612f3e", Value::Xml("<a/>".into())),
        ("0c 05 aabb", Value::ByteArray(vec![0xaa, 0xbb])),
    ]
}

/// Messages that decode to what is printed, but that nobody here writes.
const DECODED: &[(&str, &str)] = &[
    // AMF0: references
    ("0a 00000002 03 000009 07 0001", "[{},{}]"),
    ("03 0001 61 02 0001 78 000009 | 07 0000", r#"{"a":"x"} {"a":"x"}"#),
    ("03 0001 61 07 0000 000009", r#"{"a":null}"#),
    ("0a 00000002 0a 00000001 07 0000 07 0001", "[[null],[null]]"),
    // AMF0: other forms
    ("01 02", "true"),
    ("0c 00000001 61", r#""a""#),
    ("0b 0000000000000000 ffc4", "date(0)"),
    ("02 0001 ff", "\"\u{fffd}\""),
    ("00 7ff8000000000000", "NaN"),
    // the switch to AMF3 covers one value
    ("11 0a 0b 01 03 61 0401 01 | 05", r#"{"a":1} null"#),
    ("03 0001 61 11 0405 0001 62 05 000009", r#"{"a":5,"b":null}"#),
    // AMF3: reference tables are those of the message
    ("11 06 05 6162 | 11 06 00", r#""ab" "ab""#),
    ("11 09 05 01 0a 13 03 43 03 61 0401 0a 01 0402", r#"["C"{"a":1},"C"{"a":2}]"#),
    ("11 09 05 01 0a 0b 01 01 0a 02", "[{},{}]"),
    ("11 0a 0b 01 03 61 0401 01 | 11 0a 00", r#"{"a":1} {"a":1}"#),
    ("11 09 03 01 09 00", "[null]"),
    // the empty string is not in the table: "b" is entry 0
    ("11 09 07 01 0601 0603 62 0600", r#"["","b","b"]"#),
    // what a reference repeats does not enter the tables again: "c" is string 1, the last array object 2
    (
        "11 09 05 01 09 03 01 0603 62 0902 | 11 06 03 63 | 11 06 02 | 11 09 01 01 | 11 09 04",
        r#"[["b"],["b"]] "c" "c" [] []"#,
    ),
    // ... and "D" is the second of the traits
    (
        "11 0a 13 03 43 03 61 01 | 11 0a 00 | 11 0a 13 03 44 03 62 01 | 11 0a 05 01",
        r#""C"{"a":null} "C"{"a":null} "D"{"b":null} "D"{"b":null}"#,
    ),
    ("11 08 01 0000000000000000 | 11 08 00", "date(0) date(0)"),
    ("11 0c 03 aa | 11 0c 00", "bytes(aa) bytes(aa)"),
    // AMF3: other forms
    ("11 04 808005", "5"),
    ("11 07 03 78", r#"xml("x")"#),
    ("11 09 03 03 61 0401 01 0402", r#"ecma{"a":1,"0":2}"#),
    ("11 0a 1b 01 03 61 0401 03 62 0402 01", r#"{"a":1,"b":2}"#),
    ("11 0d 05 00 00000001 ffffffff", "[1,-1]"),
    ("11 0e 03 00 ffffffff", "[4294967295]"),
    ("11 0f 03 01 3fe0000000000000", "[0.5]"),
    ("11 10 05 00 03 2a 0401 03", "[1,true]"),
    ("11 11 05 00 0403 0603 61 0603 62 01", r#"ecma{"3":"a","b":null}"#),
    ("11 11 03 00 0901 01 01", r#"ecma{"[object Object]":null}"#),
    (
        // flex.messaging.io.ArrayCollection
        "11 0a 07 43 666c65782e6d6573736167696e672e696f2e4172726179436f6c6c656374696f6e 09 03 01 0401",
        "[1]",
    ),
    (
        // flex.messaging.io.ObjectProxy, once more by its traits
        "11 0a 07 3b 666c65782e6d6573736167696e672e696f2e4f626a65637450726f7879 0401 | 11 0a 01 0402",
        "1 2",
    ),
];

/// The message of `hex`; spaces and bars are for the eye.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|char| char.to_digit(16)).map(|digit| digit as u8).collect();
    assert!(digits.len() % 2 == 0, "{hex}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn decode(message: &[u8]) -> (Vec<Value>, Option<DecodeError>) {
    amf0::decode_all(message, Budget::default())
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    amf0::encode(value, &mut out);
    out
}

fn printed(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(" ")
}

/// Every message of the tables above.
fn messages() -> Vec<Vec<u8>> {
    let amf0 = canonical().into_iter().map(|(hex, _)| bytes(hex));
    let amf3 = canonical_amf3().into_iter().map(|(hex, _)| bytes(&format!("11 {hex}")));
    amf0.chain(amf3).chain(DECODED.iter().map(|(hex, _)| bytes(hex))).collect()
}

/// `count` times the same bytes.
fn times(hex: &str, count: usize) -> Vec<u8> {
    bytes(hex).repeat(count)
}

#[test]
fn amf0_decodes_and_encodes() {
    for (hex, value) in canonical() {
        assert_eq!(decode(&bytes(hex)), (vec![value.clone()], None), "{hex}");
        assert_eq!(encoded(&value), bytes(hex), "{hex}");
    }
}

#[test]
fn amf3_decodes_and_encodes() {
    for (hex, value) in canonical_amf3() {
        assert_eq!(decode(&bytes(&format!("11 {hex}"))), (vec![value.clone()], None), "{hex}");
        let mut out = Vec::new();
        amf3::encode(&value, &mut out);
        assert_eq!(out, bytes(hex), "{hex}");
    }
}

#[test]
fn other_forms_decode() {
    for (hex, expected) in DECODED {
        let (values, error) = decode(&bytes(hex));
        assert_eq!((printed(&values).as_str(), error), (*expected, None), "{hex}");
    }
}

#[test]
fn create_stream_of_type_17_decodes_behind_its_format_byte() {
    let message = bytes("00 02 000c 63726561746553747265616d 00 4000000000000000 05");
    assert_eq!(decode(&message[1..]), (vec!["createStream".into(), 2.0.into(), Value::Null], None));
}

#[test]
fn values_that_follow_are_left_alone() {
    for mut message in messages() {
        let (mut values, _) = decode(&message);
        message.extend(bytes("02 0001 7a"));
        values.push("z".into());
        let (more, error) = decode(&message);
        assert_eq!((printed(&more), error), (printed(&values), None), "{message:02x?}");
    }
}

#[test]
fn a_message_cut_anywhere_gives_what_came_before_the_cut() {
    for message in messages() {
        let (whole, _) = decode(&message);
        for cut in 0..message.len() {
            let (values, error) = decode(&message[..cut]);
            assert!(values.len() <= whole.len());
            match error {
                None => assert_eq!(decode_strictly(&message[..cut]), Ok(values)),
                Some(error) => assert_eq!(error.kind, Truncated, "{message:02x?} at {cut}"),
            }
            fuzz(&message[..cut]);
        }
    }
}

fn decode_strictly(message: &[u8]) -> Result<Vec<Value>, DecodeError> {
    let mut decoder = amf0::Decoder::new(message, Budget::default());
    let mut values = Vec::new();
    while let Some(value) = decoder.next_value()? {
        values.push(value);
    }
    assert_eq!(decoder.position(), message.len());
    Ok(values)
}

#[test]
fn endings_that_writers_get_wrong() {
    for (hex, expected) in [
        // the end mark is missing, or half of it is
        ("08 00000001 0001 61 0101", r#"ecma{"a":true}"#),
        ("08 00000001 0001 61 0101 00", r#"ecma{"a":true}"#),
        ("08 00000001 0001 61 0101 0000", r#"ecma{"a":true}"#),
        ("03 0001 61 03 0001 62 05", r#"{"a":{"b":null}}"#),
        ("03 0001 61 03 0001 62 05 000009", r#"{"a":{"b":null}}"#),
        // an empty key that is one
        ("03 0000 05 0001 61 05 000009", r#"{"":null,"a":null}"#),
        // an end marker in the place of a value
        ("03 0001 61 05 0001 62 09 | 05", r#"{"a":null} null"#),
        ("03 0001 61 0a 00000003 05 09 000009 | 05", r#"{"a":[null]} null"#),
        ("05 09 05", "null null"),
        ("09", ""),
    ] {
        let (values, error) = decode(&bytes(hex));
        assert_eq!((printed(&values).as_str(), error), (expected, None), "{hex}");
    }
}

#[test]
fn counts_that_lie() {
    for count in ["00000000", "00000002", "ffffffff"] {
        let (values, error) = decode(&bytes(&format!("08 {count} 0001 61 05 000009 05")));
        assert_eq!((printed(&values).as_str(), error), (r#"ecma{"a":null} null"#, None), "{count}");
    }
}

#[test]
fn what_came_before_an_error_is_kept() {
    for (hex, expected, kind, offset) in [
        ("05 12", "null", Marker(0x12), 1),
        ("04", "", Marker(0x04), 0),
        ("0e", "", Marker(0x0e), 0),
        ("11 12", "", Marker(0x12), 1),
        ("03 0001 61 05 0001 62 ff", r#"{"a":null}"#, Marker(0xff), 8),
        ("0a 00000002 03 0001 61 05 0001 62 ff", r#"[{"a":null}]"#, Marker(0xff), 13),
        ("03 0001 61 03 0001 62 ff 0001 63 05 000009", r#"{"a":{}}"#, Marker(0xff), 8),
        ("05 02 0005 61", "null", Truncated, 4),
        ("03 0001 61 05 0005 61", r#"{"a":null}"#, Truncated, 7),
        ("0c ffffffff 61", "", Truncated, 5),
        ("0f ffffffff 61", "", Truncated, 5),
        ("0a ffffffff 05", "[null]", Truncated, 6),
        ("07 0000", "", Reference, 0),
        ("0a 00000001 07 0001", "[]", Reference, 5),
        // AMF3
        ("11 09 05 01 09 03 01 ff 01", "[[]]", Marker(0xff), 7),
        ("11 0a 0b 01 03 61 09 03 01 ff 03 62 01 01", r#"{"a":[]}"#, Marker(0xff), 9),
        ("11 0a 2b 01 03 61 03 62 09 03 01 ff 03 63 01 01", r#"{"a":[]}"#, Marker(0xff), 11),
        ("11 09 ffffffff 01 01", "[null]", Truncated, 8),
        ("11 06 ffffffff 61", "", Truncated, 6),
        ("11 0c ffffffff 61", "", Truncated, 6),
        ("11 0f ffffffff 00 61", "", Truncated, 7),
        ("11 11 ffffffff 00", "ecma{}", Truncated, 7),
        ("11 0a ffffffe3 01", "", Truncated, 7),
        ("11 06 00", "", Reference, 2),
        ("11 0a 00", "", Reference, 1),
        ("11 0a 01", "", Reference, 3),
        ("11 0a 07 03 58 0401", "", Externalizable, 5),
    ] {
        let (values, error) = decode(&bytes(hex));
        assert_eq!(
            (printed(&values).as_str(), error),
            (expected, Some(DecodeError { kind, offset })),
            "{hex}"
        );
        fuzz(&bytes(hex));
    }
}

#[test]
fn the_depth_that_is_allowed_is_reached_and_not_passed() {
    let kind = |message: &[u8]| decode(message).1.map(|error| error.kind);
    for (open, close) in [
        ("0a 00000001", ""),
        ("03 0001 61", "000009"),
        ("08 00000000 0001 61", "000009"),
        ("10 0001 43 0001 61", "000009"),
    ] {
        let nested = |depth| [times(open, depth), bytes("05"), times(close, depth)].concat();
        assert_eq!(kind(&nested(32)), None, "{open}");
        assert_eq!(kind(&nested(33)), Some(TooDeep), "{open}");
        assert_eq!(kind(&nested(100_000)), Some(TooDeep), "{open}");
        fuzz(&nested(1000));
    }
    for open in ["09 03 01", "0a 0b 01 03 61", "10 03 00 01", "11 03 00 01", "11 03 00"] {
        let nested = |depth| [bytes("11"), times(open, depth)].concat();
        assert_eq!(kind(&nested(32)), Some(Truncated), "{open}");
        assert_eq!(kind(&nested(33)), Some(TooDeep), "{open}");
    }
    // AMF3 inside AMF0 is one level inside another
    let mixed = bytes("0a 00000001 11 09 03 01 01");
    assert_eq!(amf0::decode_all(&mixed, Budget::new(2, 100)).1, None);
    assert_eq!(amf0::decode_all(&mixed, Budget::new(1, 100)).1.map(|error| error.kind), Some(TooDeep));
}

#[test]
fn no_budget_is_deep_enough_to_exhaust_the_stack() {
    let message = times("0a 00000001", 1_000_000);
    let (values, error) = amf0::decode_all(&message, Budget::new(usize::MAX, usize::MAX));
    assert_eq!(error.map(|error| error.kind), Some(TooDeep));
    fuzz(&encoded(&values[0]));
}

#[test]
fn the_values_that_are_allowed_are_reached_and_not_passed() {
    let many = |count: u32| [vec![0x0a], count.to_be_bytes().to_vec(), times("05", count as usize)].concat();
    let budget = Budget::new(32, 101);
    assert_eq!(amf0::decode_all(&many(100), budget).1, None);
    let (values, error) = amf0::decode_all(&many(101), budget);
    assert_eq!(error, Some(DecodeError { kind: TooManyValues, offset: 105 }));
    assert_eq!(printed(&values).matches("null").count(), 100);
    // 1000 sealed names, 1000 numbers of a vector: paid for as well
    let names = [bytes("11 0a fd03 01"), times("01", 1000)].concat();
    assert_eq!(amf0::decode_all(&names, budget).1.map(|error| error.kind), Some(TooManyValues));
    let vector = [bytes("11 0d 8f51 00"), times("00000000", 1000)].concat();
    assert_eq!(amf0::decode_all(&vector, budget).1.map(|error| error.kind), Some(TooManyValues));
    assert_eq!(decode(&vector).1, None);
}

/// References of three bytes that stand for ever more.
#[test]
fn references_do_not_unfold_into_more_than_the_budget() {
    // each array holds the one before it twice: 2^30 values out of 300 bytes
    let mut doubling = bytes("0a 00000000");
    for index in 0..30 {
        doubling.extend(bytes(&format!("0a 00000002 07 {index:04x} 07 {index:04x}")));
    }
    assert_eq!(decode(&doubling).1.map(|error| error.kind), Some(TooManyValues));

    // one long string in an object, referred to again and again: 60 KB for three bytes
    let long = [bytes("03 0001 61 0c 0000ea60"), vec![b'x'; 60_000], bytes("000009")].concat();
    let repeated = [long, times("07 0000", 20_000)].concat();
    let (values, error) = decode(&repeated);
    assert_eq!(error.map(|error| error.kind), Some(TooManyValues));
    assert_eq!(values.len(), 27, "60 000 bytes cost as much as 3750 values");

    // the same in AMF3, where a string, a long class name or a long member name takes two bytes to repeat
    for (first, again) in [
        ("11 09 82b841 01 06 82b841", "06 00"),
        ("11 09 82b841 01 0a 03 82b841", "0a 01"),
        ("11 09 82b841 01 0a 13 01 82b841", "01 0a 01"),
    ] {
        let message = [bytes(first), vec![b'x'; 20_000], times(again, 19_999)].concat();
        let (values, error) = decode(&message);
        assert_eq!(error.map(|error| error.kind), Some(TooManyValues), "{first}");
        let Some(Value::StrictArray(kept)) = values.first() else { panic!("an array, not {values:?}") };
        // The budget, or 64 values more than the message has bytes, in steps of 1250.
        assert!((46..=81).contains(&kept.len()), "20 000 bytes cost as much as 1250 values: {}", kept.len());
    }
}

/// Whatever the budget says: a stream of small messages must not cost more than a stream of large ones.
#[test]
fn a_short_input_has_few_values() {
    let three = bytes("0a 00000003 050505");
    let few = [three.clone(), times("07 0000", 34)].concat();
    assert_eq!(decode(&few).1, None, "4 + 34 * 5 values in 8 + 34 * 3 bytes");
    let many = [three, times("07 0000", 35)].concat();
    assert_eq!(decode(&many).1.map(|error| error.kind), Some(TooManyValues));
}

#[test]
fn dictionaries_as_keys_do_not_double_their_quotes() {
    let mut message = bytes("11");
    message.extend(times("11 03 00", 31));
    message.extend(bytes("06 03 22"));
    message.extend(times("01", 31));
    let (values, error) = decode(&message);
    assert_eq!((printed(&values).as_str(), error), (r#"ecma{"[object Object]":null}"#, None));
}

/// What a reference repeats holds a reference itself, to something that was unfinished then and is finished now.
#[test]
fn a_cycle_stays_cut_when_it_is_repeated() {
    let (values, error) = decode(&bytes("03 0001 61 07 0000 000009 | 07 0000 | 07 0000"));
    assert_eq!((printed(&values).as_str(), error), (r#"{"a":null} {"a":null} {"a":null}"#, None));
    let (values, error) = decode(&bytes("11 0a 0b 01 03 61 0a 00 01 | 11 0a 00"));
    assert_eq!((printed(&values).as_str(), error), (r#"{"a":null} {"a":null}"#, None));
}

#[test]
fn a_string_takes_the_form_its_length_needs() {
    let string = |len| Value::String("x".repeat(len));
    assert_eq!(encoded(&string(0xffff))[..3], [0x02, 0xff, 0xff]);
    assert_eq!(encoded(&string(0x10000))[..5], [0x0c, 0, 1, 0, 0]);
    for len in [0xffff, 0x10000] {
        assert_eq!(decode(&encoded(&string(len))), (vec![string(len)], None));
    }
}

#[test]
fn a_key_too_long_is_cut_between_characters() {
    let key = format!("x{}", "é".repeat(40_000));
    let (values, error) = decode(&encoded(&Object::from([(key.as_str(), true.into())]).into()));
    assert_eq!(error, None);
    let object = values[0].as_object().expect("an object was encoded");
    assert_eq!(object.get(&key[..65_535]), Some(&true.into()));
}

#[test]
fn amf3_leaves_out_what_it_cannot_say() {
    let object = Object::from([("", 1.0.into()), ("a", Value::Unsupported)]);
    let mut out = vec![0x11];
    amf3::encode(&object.into(), &mut out);
    assert_eq!(printed(&decode(&out).0), r#"{"a":undefined}"#);
}

#[test]
fn errors_name_the_place_and_the_limit() {
    let (_, error) = amf0::decode_all(&bytes("05 05"), Budget::new(1, 1));
    let error = error.expect("two values are more than one");
    assert_eq!(error.kind, TooManyValues);
    assert_eq!(error.to_string(), "more AMF values than the budget says (at byte 1 of the values)");
}

#[test]
fn the_fuzz_body_holds_for_every_message_and_every_changed_byte() {
    fuzz(&[]);
    for message in messages() {
        fuzz(&message);
        for index in 0..message.len() {
            for change in [0x01, 0x03, 0x08, 0x10, 0x80, 0xff] {
                let mut changed = message.clone();
                changed[index] ^= change;
                fuzz(&changed);
            }
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let number = any::<f64>().prop_filter("NaN does not equal itself", |number| !number.is_nan());
    let leaf = prop_oneof![
        number.clone().prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        any::<String>().prop_map(Value::String),
        Just(Value::Null),
        Just(Value::Undefined),
        Just(Value::Unsupported),
        number.prop_map(Value::Date),
        any::<String>().prop_map(Value::Xml),
        any::<Vec<u8>>().prop_map(Value::ByteArray),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        let object = prop::collection::vec((any::<String>(), inner.clone()), 0..8).prop_map(Object);
        prop_oneof![
            object.clone().prop_map(Value::Object),
            object.clone().prop_map(Value::EcmaArray),
            prop::collection::vec(inner, 0..8).prop_map(Value::StrictArray),
            (any::<String>(), object)
                .prop_map(|(class, properties)| Value::TypedObject { class, properties }),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_survives_amf0(value in any_value()) {
        prop_assert_eq!(decode(&encoded(&value)), (vec![value], None));
    }

    #[test]
    fn the_fuzz_body_holds_for_any_bytes(data in prop::collection::vec(prop_oneof![0u8..0x14, any::<u8>()], 0..80)) {
        fuzz(&data);
    }

    #[test]
    fn the_fuzz_body_holds_for_any_amf3(data in prop::collection::vec(prop_oneof![4 => 0u8..0x14, 1 => any::<u8>()], 0..80)) {
        fuzz(&[&[0x11], &data[..]].concat());
    }
}
