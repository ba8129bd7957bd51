//! Commands: name, transaction id, command object, arguments (RTMP 1.0, 7.1.1; types 20 and 17).
//!
//! Field notes: a type 17 body begins with a format byte, which some clients leave out; hardware encoders leave
//! out the command object, so a third value that is a string counts as the first argument; transaction ids may be
//! missing or 0. What follows an undecodable value is dropped, what came before it is kept.

use super::{DecodeFailure, Ignored, type_id};
use crate::{
    amf::{Budget, Object, Value, amf0},
    rtmp::{Limit, Limits},
};
use alloc::{string::String, vec, vec::Vec};
use core::fmt;

/// A remote call, or the reply to one (`_result`, `_error`), or `onStatus`.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What to do.
    pub name: String,
    /// Ties a reply to its call; 0 asks for none.
    pub transaction: f64,
    /// Object or null.
    pub object: Value,
    /// The rest.
    pub args: Vec<Value>,
}

impl Command {
    /// A command with a null command object.
    pub fn new(name: &str, transaction: f64, args: Vec<Value>) -> Command {
        Command { name: name.into(), transaction, object: Value::Null, args }
    }

    /// `_result` to `transaction`.
    pub fn result(transaction: f64, object: Value, value: Value) -> Command {
        Command { name: "_result".into(), transaction, object, args: vec![value] }
    }

    /// `onStatus` with an information object.
    pub fn on_status(info: Object) -> Command {
        Command::new("onStatus", 0.0, vec![Value::Object(info)])
    }

    /// Decodes a body of message type `type_id` (20 or 17).
    ///
    /// # Errors
    /// `Undecodable` if there is no name; a limit for AMF beyond its budgets.
    pub fn decode(type_id: u8, body: &[u8], limits: &Limits) -> Result<Command, DecodeFailure> {
        let body = skip_format_byte(type_id, body);
        let (values, error) = amf0::decode_all(body, Budget::from(limits));
        if let Some(limit) = error.and_then(|error| Limit::of_amf(error.kind)) {
            return Err(DecodeFailure::Limit(limit));
        }
        let mut values = values.into_iter().peekable();
        let Some(Value::String(name)) = values.next() else { return Err(Ignored::Undecodable.into()) };
        let transaction = values.next_if(|value| matches!(value, Value::Number(_)));
        let is_argument = |value: &Value| matches!(value, Value::String(_) | Value::Number(_));
        let object = values.next_if(|value| !is_argument(value)).unwrap_or(Value::Null);
        Ok(Command {
            name,
            transaction: transaction.and_then(|value| value.as_number()).unwrap_or(0.0),
            object,
            args: values.collect(),
        })
    }

    /// Appends the body of a type 20 message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        amf0::encode(&Value::String(self.name.clone()), out);
        amf0::encode(&Value::Number(self.transaction), out);
        amf0::encode(&self.object, out);
        for arg in &self.args {
            amf0::encode(arg, out);
        }
    }

    /// The argument at `index`, if it is there and neither null nor undefined.
    pub fn arg(&self, index: usize) -> Option<&Value> {
        self.args.get(index).filter(|value| !value.is_absent())
    }

    /// The argument at `index` as a string, as [`Value::as_str`] reads it.
    pub fn string_arg(&self, index: usize) -> Option<&str> {
        self.arg(index)?.as_str()
    }

    /// The argument at `index` as a number, as [`Value::as_number`] reads it.
    pub fn number_arg(&self, index: usize) -> Option<f64> {
        self.arg(index)?.as_number()
    }
}

/// Types 15 and 17 start with a format byte, 0 in practice; a client that leaves it out starts with a string.
pub(super) fn skip_format_byte(type_id: u8, body: &[u8]) -> &[u8] {
    const STRING_MARKER: u8 = 0x02;
    match body {
        [first, rest @ ..]
            if matches!(type_id, type_id::COMMAND_AMF3 | type_id::DATA_AMF3) && *first != STRING_MARKER =>
        {
            rest
        }
        _ => body,
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.transaction, self.object)?;
        self.args.iter().try_for_each(|arg| write!(f, " {arg}"))
    }
}
