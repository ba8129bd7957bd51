//! E-RTMP capabilities in `connect` and in its answer (Enhanced RTMP v2, 1; v1 has `fourCcList` alone).
//!
//! A relay forwards every codec and parses none, so what we announce is the same for everybody.
//! Bounds: `MAX_FOURCCS` are kept of an announcement.

use super::event::Capabilities;
use crate::amf::{Object, Value};
use alloc::{string::String, vec, vec::Vec};

/// Says in the object of `connect` what we can do.
pub(super) fn announce(object: &mut Object) {
    put(object, &[]);
}

/// The same in an object of the answer, with the maps of v2.
pub(super) fn answer(object: &mut Object) {
    put(object, &INFO_MAPS);
}

fn put(object: &mut Object, maps: &[&str]) {
    object.push("fourCcList", Value::StrictArray(vec![Value::from("*")]));
    for map in maps {
        object.push(*map, Object::from([("*", CAN_FORWARD.into())]));
    }
    object.push("capsEx", CAPS_EX);
}

impl Capabilities {
    /// Reads the E-RTMP properties of `connect`, of v1 and of v2.
    pub(super) fn read(properties: &Object) -> Capabilities {
        let mut fourccs = Vec::new();
        let mut add = |fourcc: &str| {
            if fourccs.len() < MAX_FOURCCS {
                fourccs.push(String::from(fourcc));
            }
        };
        if let Some(Value::StrictArray(list)) = properties.get("fourCcList") {
            list.iter().filter_map(Value::as_str).for_each(&mut add);
        }
        for map in INFO_MAPS {
            let map = properties.get(map).and_then(Value::as_object);
            map.into_iter().flat_map(Object::iter).for_each(|(fourcc, _)| add(fourcc));
        }
        let caps_ex = properties.get("capsEx").and_then(Value::as_number).unwrap_or(0.0) as u32;
        Capabilities { fourccs, caps_ex }
    }
}

/// v2: what each side can do with which codec.
const INFO_MAPS: [&str; 2] = ["videoFourCcInfoMap", "audioFourCcInfoMap"];

/// FourCCs that are kept of an announcement; ffmpeg 9 knows 12.
const MAX_FOURCCS: usize = 64;

/// What a relay can do with any codec: forward it (E-RTMP FourCcInfo bit 0x04).
const CAN_FORWARD: f64 = 4.0;

/// capsEx bits: multitrack, ModEx and nanosecond offsets, which pass through a relay untouched.
const CAPS_EX: u32 = 0x02 | 0x04 | 0x08;
