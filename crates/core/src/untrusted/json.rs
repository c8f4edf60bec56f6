//! JSON of others: parsed into a type, after its values are counted.

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Values of one text, those in lists and objects included: some ten times those of the largest lock file. A value takes less than
/// 400 bytes of memory, also one that is alone in a map.
pub const MAX_VALUES: u32 = 100_000;

/// The value that `text` is. Callers bound its length.
///
/// # Errors
///
/// It is not JSON, has more than [`MAX_VALUES`] values, or is not of the type `T`.
pub fn json<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    let counted = Cell::new(0);
    let mut reader = serde_json::Deserializer::from_str(text);
    Count(&counted).deserialize(&mut reader)?;
    #[expect(clippy::disallowed_methods, reason = "its values are counted")]
    serde_json::from_str(text)
}

/// Reads any value, keeps nothing of it, and fails if there are too many.
#[derive(Clone, Copy)]
struct Count<'a>(&'a Cell<u32>);

impl Count<'_> {
    fn one_more<E: de::Error>(self) -> Result<(), E> {
        self.0.set(self.0.get() + 1);
        if self.0.get() <= MAX_VALUES {
            return Ok(());
        }
        Err(E::custom(format_args!(
            "it has more than {MAX_VALUES} values"
        )))
    }
}

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.one_more()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while object.next_key_seed(self)?.is_some() {
            object.next_value_seed(self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;

    #[test]
    fn only_so_many_values_are_read() {
        let list = |n: usize| format!("[{}0]", "0,".repeat(n - 1));
        let most = MAX_VALUES as usize - 1;
        assert_eq!(json::<Vec<u8>>(&list(most)).unwrap().len(), most);
        assert!(json::<Vec<u8>>(&list(most + 1)).is_err());
        let object = format!("{{{}\"x\":[null,true,-1,0.5]}}", "\"x\":{},".repeat(most));
        assert!(json::<IgnoredAny>(&object).is_err());
        assert!(json::<IgnoredAny>("[null,true,-1,0.5,{\"a\":\"b\"}]").is_ok());
        assert!(json::<u8>("1 1").is_err(), "a rest");
    }
}
