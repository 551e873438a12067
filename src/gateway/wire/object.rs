//! What a kind of object is made of on the wire: fields that are used, fields
//! that are ignored on purpose, and everything else, which is counted.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::lenient::{Lenient, Odd};

/// An object of the wire, as `wire!` declares it.
pub(crate) trait Wire<'de>: Default {
    /// One variant a field that is used.
    type Slot;

    /// Names of the fields that are used, with their other spellings.
    const KNOWN: &'static [&'static str];
    /// Names of the fields that are ignored on purpose, ascending.
    const IGNORED: &'static [&'static str];

    /// The field of this name, if it is used.
    fn slot(name: &str) -> Option<Self::Slot>;

    /// Reads the value of a field.
    fn set<A: MapAccess<'de>>(&mut self, slot: Self::Slot, map: &mut A, odd: &mut Odd) -> Result<(), A::Error>;
}

/// A field name, judged while it is read so that it is never copied.
enum Field<S> {
    Used(S),
    Ignored,
    Unknown,
}

struct FieldSeed<T>(PhantomData<T>);

impl<'de, T: Wire<'de>> DeserializeSeed<'de> for FieldSeed<T> {
    type Value = Field<T::Slot>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_identifier(self)
    }
}

impl<'de, T: Wire<'de>> Visitor<'de> for FieldSeed<T> {
    type Value = Field<T::Slot>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(match T::slot(name) {
            Some(slot) => Field::Used(slot),
            None if T::IGNORED.binary_search(&name).is_ok() => Field::Ignored,
            None => Field::Unknown,
        })
    }
}

/// An object; anything else than one (but `null`) is odd, and nothing.
impl<'de, T: Wire<'de>> Lenient<'de> for Option<T> {
    fn read<D: Deserializer<'de>>(source: D, odd: &mut Odd) -> Result<Self, D::Error> {
        struct Object<'o, T>(&'o mut Odd, PhantomData<T>);

        impl<'de, T: Wire<'de>> Visitor<'de> for Object<'_, T> {
            type Value = Option<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<T>, A::Error> {
                let mut object = T::default();
                while let Some(field) = map.next_key_seed(FieldSeed::<T>(PhantomData))? {
                    match field {
                        Field::Used(slot) => object.set(slot, &mut map, self.0)?,
                        Field::Ignored => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        Field::Unknown => {
                            self.0.unknown += 1;
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Some(object))
            }

            fn visit_unit<E>(self) -> Result<Option<T>, E> {
                Ok(None)
            }

            not_this_shape!(bool, u64, i64, f64, str, seq);
        }

        source.deserialize_any(Object(odd, PhantomData))
    }
}

/// The same behind a pointer, for an object that may hold one of its own kind.
#[derive(Debug)]
pub(crate) struct Inner<T>(pub(crate) Option<Box<T>>);

impl<T> Default for Inner<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Wire<'de>> Lenient<'de> for Inner<T> {
    fn read<D: Deserializer<'de>>(source: D, odd: &mut Odd) -> Result<Self, D::Error> {
        Ok(Self(Option::<T>::read(source, odd)?.map(Box::new)))
    }
}
