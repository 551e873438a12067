//! How a value of the wire is read without ever refusing the object it is in.
//!
//! A gateway of another release may send a number as text, text as a number,
//! `null`, or a thing of a wholly other shape. Such a field is absent, and
//! counted as odd. Only broken JSON is an error.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// How much of an answer this version did not understand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Odd {
    /// Fields and words that are on none of our lists.
    pub(crate) unknown: u64,
    /// Values of a shape that their field does not have.
    pub(crate) malformed: u64,
}

impl Odd {
    pub(crate) const fn total(self) -> u64 {
        self.unknown + self.malformed
    }
}

/// A value that is read whatever its shape.
pub(crate) trait Lenient<'de>: Default {
    fn read<D: Deserializer<'de>>(source: D, odd: &mut Odd) -> Result<Self, D::Error>;
}

/// Reads the next value of a list or an object leniently.
pub(crate) struct Seed<'o, T>(&'o mut Odd, PhantomData<T>);

impl<'o, T> Seed<'o, T> {
    pub(crate) const fn new(odd: &'o mut Odd) -> Self {
        Self(odd, PhantomData)
    }
}

impl<'de, T: Lenient<'de>> DeserializeSeed<'de> for Seed<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<T, D::Error> {
        T::read(source, self.0)
    }
}

/// A scalar as it was written; lists and objects are passed over.
#[derive(Debug)]
pub(crate) enum Scalar<'de> {
    Null,
    Bool(bool),
    Natural(u64),
    Negative,
    Float(f64),
    Text(Cow<'de, str>),
    Nested,
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Natural(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(value).map_or(Scalar::Negative, Scalar::Natural))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }
}

/// From 2^63 on a number is no amount of anything any more, but an overflow
/// somewhere.
const ABSURD: f64 = 9_223_372_036_854_775_808.0;

impl Scalar<'_> {
    /// The amount it says: finite, not negative, below 2^63. `Err` when it says something else.
    pub(crate) fn amount(&self) -> Result<Option<f64>, ()> {
        let number = match self {
            Self::Null => return Ok(None),
            Self::Natural(number) => *number as f64,
            Self::Float(number) => *number,
            Self::Text(text) => match text.trim() {
                // The gateway's own ways to say that there is no number.
                "" | "NaN" | "Infinity" | "-Infinity" | "Unlimited" | "N/A" => return Ok(None),
                text => text.parse().map_err(|_| ())?,
            },
            Self::Bool(_) | Self::Negative | Self::Nested => return Err(()),
        };
        if (0.0..ABSURD).contains(&number) { Ok(Some(number)) } else { Err(()) }
    }
}

/// Text; numbers and truth values are taken as they are written.
impl<'de> Lenient<'de> for Option<Cow<'de, str>> {
    fn read<D: Deserializer<'de>>(source: D, odd: &mut Odd) -> Result<Self, D::Error> {
        Ok(match Scalar::deserialize(source)? {
            Scalar::Text(text) => Some(text),
            Scalar::Natural(number) => Some(Cow::Owned(number.to_string())),
            Scalar::Bool(truth) => Some(Cow::Borrowed(if truth { "true" } else { "false" })),
            Scalar::Null => None,
            Scalar::Float(_) | Scalar::Negative | Scalar::Nested => {
                odd.malformed += 1;
                None
            }
        })
    }
}

/// A number that may have a fraction.
impl<'de> Lenient<'de> for Option<f64> {
    fn read<D: Deserializer<'de>>(source: D, odd: &mut Odd) -> Result<Self, D::Error> {
        Ok(Scalar::deserialize(source)?.amount().unwrap_or_else(|()| {
            odd.malformed += 1;
            None
        }))
    }
}

/// A whole number.
impl<'de> Lenient<'de> for Option<u64> {
    fn read<D: Deserializer<'de>>(source: D, odd: &mut Odd) -> Result<Self, D::Error> {
        let scalar = Scalar::deserialize(source)?;
        // Exact where it can be: a double holds 53 bits only.
        let exact = match &scalar {
            Scalar::Natural(number) => Some(*number),
            Scalar::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        match (scalar.amount(), exact) {
            (Ok(Some(_)), Some(number)) => Ok(Some(number)),
            (Ok(Some(number)), None) if number.fract() == 0.0 => Ok(Some(number as u64)),
            (Ok(None), _) => Ok(None),
            _ => {
                odd.malformed += 1;
                Ok(None)
            }
        }
    }
}

/// A truth value; also as text in any case.
impl<'de> Lenient<'de> for Option<bool> {
    fn read<D: Deserializer<'de>>(source: D, odd: &mut Odd) -> Result<Self, D::Error> {
        Ok(match Scalar::deserialize(source)? {
            Scalar::Bool(truth) => Some(truth),
            Scalar::Natural(number @ (0 | 1)) => Some(number == 1),
            Scalar::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Scalar::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Scalar::Null => None,
            _ => {
                odd.malformed += 1;
                None
            }
        })
    }
}

/// A list; an element that cannot be read is left out, the others stay.
impl<'de, T> Lenient<'de> for Vec<T>
where
    Option<T>: Lenient<'de>,
{
    fn read<D: Deserializer<'de>>(source: D, odd: &mut Odd) -> Result<Self, D::Error> {
        Ok(Maybe::read(source, odd)?.0.unwrap_or_default())
    }
}

/// A list whose absence matters.
#[derive(Debug)]
pub(crate) struct Maybe<T>(pub(crate) Option<Vec<T>>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T> Lenient<'de> for Maybe<T>
where
    Option<T>: Lenient<'de>,
{
    fn read<D: Deserializer<'de>>(source: D, odd: &mut Odd) -> Result<Self, D::Error> {
        struct List<'o, T>(&'o mut Odd, PhantomData<T>);

        impl<'de, T> Visitor<'de> for List<'_, T>
        where
            Option<T>: Lenient<'de>,
        {
            type Value = Maybe<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = list.next_element_seed(Seed::<Option<T>>::new(self.0))? {
                    elements.extend(element);
                }
                Ok(Maybe(Some(elements)))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Maybe(None))
            }

            not_this_shape!(bool, u64, i64, f64, str, map);
        }

        source.deserialize_any(List(odd, PhantomData))
    }
}
