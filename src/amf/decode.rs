//! What the readers of both formats do alike: values and properties one after the other, and what references repeat.
//!
//! Everything ends with the first failure, and what came before it is kept.

use super::{
    Object, Value,
    input::{Input, Referent},
};
use alloc::{string::String, vec::Vec};

/// Reads values of one format.
pub(super) trait Decode<'a> {
    /// Where they stand.
    fn input(&mut self) -> &mut Input<'a>;

    /// One value. `None` on failure, and for what ends the container around it. With a failure inside of a container, the
    /// part of it before the failure.
    fn value(&mut self) -> Option<Value>;

    /// One property with its key; `None` behind the last one and on failure.
    fn property(&mut self) -> Option<(String, Value)>;

    /// So many values.
    fn values(&mut self, count: u32) -> Vec<Value> {
        let mut values = Vec::new();
        for _ in 0..count {
            let Some(value) = self.value() else { break };
            values.push(value);
            if !self.input().is_sound() {
                break;
            }
        }
        values
    }

    /// Properties up to the last one.
    fn properties(&mut self) -> Object {
        let mut properties = Object::new();
        while let Some((key, value)) = self.property() {
            properties.push(key, value);
            if !self.input().is_sound() {
                break;
            }
        }
        properties
    }

    /// The value a reference stands for, decoded again; null for one that the reference is part of.
    fn referent(&mut self, referent: &Referent) -> Option<Value> {
        match referent {
            Referent::Unfinished => Some(Value::Null),
            Referent::Finished(span) => {
                let resume = self.input().rewind(span)?;
                let value = self.value();
                self.input().resume(resume);
                value
            }
        }
    }
}
