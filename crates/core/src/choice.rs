//! Names of enums: [`clap::ValueEnum`] gives each variant its name once; `Display`, `FromStr` and serde follow it, so that
//! flags, variables, `sdbuild.toml`, JSON and messages agree.

use std::fmt;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::nearest::meant;

/// Implements `Serialize` and `Deserialize` by the text of `Display` and `FromStr`.
#[macro_export]
macro_rules! serialized_as_text {
    ($($text:ty),+ $(,)?) => {$(
        impl serde::Serialize for $text {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $text {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
pub use serialized_as_text;

/// Implements `Display`, `FromStr`, `Serialize` and `Deserialize` by the names that `ValueEnum` gives.
#[macro_export]
macro_rules! named_like_its_flag {
    ($($choice:ty),+ $(,)?) => {$(
        $crate::choice::serialized_as_text!($choice);

        impl std::fmt::Display for $choice {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::choice::write_name(self, f)
            }
        }

        impl std::str::FromStr for $choice {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                $crate::choice::parse(text)
            }
        }
    )+};
}
pub use named_like_its_flag;

/// Writes the variant's name.
pub fn write_name(choice: &impl ValueEnum, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let value = choice.to_possible_value();
    value.map_or(Ok(()), |value| f.write_str(value.get_name()))
}

/// The variant with the name `text`; the error lists the names that exist.
pub fn parse<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| {
        let variants = T::value_variants().iter();
        let values: Vec<_> = variants.filter_map(T::to_possible_value).collect();
        let names: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
        let meant = meant(text, names.iter().copied());
        let meant = meant.map_or_else(String::new, |name| format!(" (did you mean {name}?)"));
        format!("`{text}` is not one of {}{meant}", names.join(", "))
    })
}
