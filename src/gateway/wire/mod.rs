//! What a gateway sends, as it sends it: tolerant structs that borrow from the
//! body, one per kind of object. Nothing outside of `gateway` sees them.
//!
//! Each declaration lists the fields that are used and the fields that are
//! ignored on purpose. Any other field is counted as unknown, so that a new
//! release shows itself.

/// Visitor methods for values of another shape than the wanted one: they are
/// read to their end, counted as malformed, and give the default.
macro_rules! not_this_shape {
    ($($shape:ident),*) => { $(not_this_shape!(@ $shape);)* };
    (@ seq) => {
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<serde::de::IgnoredAny>()?.is_some() {}
            self.0.malformed += 1;
            Ok(Default::default())
        }
    };
    (@ map) => {
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
            self.0.malformed += 1;
            Ok(Default::default())
        }
    };
    (@ bool) => { not_this_shape!(@ visit_bool(bool)); };
    (@ u64) => { not_this_shape!(@ visit_u64(u64)); };
    (@ i64) => { not_this_shape!(@ visit_i64(i64)); };
    (@ f64) => { not_this_shape!(@ visit_f64(f64)); };
    (@ str) => { not_this_shape!(@ visit_str(&str)); };
    (@ $visit:ident($type:ty)) => {
        fn $visit<E>(self, _: $type) -> Result<Self::Value, E> {
            self.0.malformed += 1;
            Ok(Default::default())
        }
    };
}

/// Declares an object of the wire: `field: type = "name" | "other spelling"`,
/// then the names ignored on purpose, ascending.
macro_rules! wire {
    ($($(#[$doc:meta])* $name:ident {
        $($field:ident: $type:ty = $first:literal $(| $other:literal)*),* $(,)?
    } ignored { $($ignored:literal)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name<'de> {
            $(pub(crate) $field: $type,)*
            borrows: std::marker::PhantomData<&'de str>,
        }

        const _: () = {
            #[allow(non_camel_case_types)]
            pub(crate) enum Slot { $($field),* }

            impl<'de> $crate::gateway::wire::Wire<'de> for $name<'de> {
                type Slot = Slot;

                const KNOWN: &'static [&'static str] = &[$($first, $($other,)*)*];
                const IGNORED: &'static [&'static str] = &[$($ignored),*];

                fn slot(name: &str) -> Option<Slot> {
                    Some(match name {
                        $($first $(| $other)* => Slot::$field,)*
                        _ => return None,
                    })
                }

                fn set<A: serde::de::MapAccess<'de>>(
                    &mut self,
                    slot: Slot,
                    map: &mut A,
                    odd: &mut $crate::gateway::wire::Odd,
                ) -> Result<(), A::Error> {
                    match slot {
                        $(Slot::$field => {
                            self.$field = map.next_value_seed($crate::gateway::wire::Seed::<$type>::new(odd))?;
                        })*
                    }
                    Ok(())
                }
            }
        };
    )*};
}

pub(crate) mod alerts;
pub(crate) mod array;
pub(crate) mod data;
mod lenient;
pub(crate) mod nodes;
mod object;
pub(crate) mod replication;
pub(crate) mod stat_names;

use std::borrow::Cow;

pub(crate) use lenient::{Lenient, Maybe, Odd, Seed};
pub(crate) use object::{Inner, Wire};

/// Text, borrowed from the body unless it holds escapes.
pub(crate) type Text<'de> = Option<Cow<'de, str>>;

/// The field names of a kind of object: those used and those ignored on
/// purpose. Tests hold the recorded answers of real systems against them.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// Names that are used, with their other spellings.
    pub known: &'static [&'static str],
    /// Names that are ignored on purpose, ascending.
    pub ignored: &'static [&'static str],
}

impl Fields {
    /// Whether a field of this name is no surprise.
    pub fn has(&self, name: &str) -> bool {
        self.known.contains(&name) || self.ignored.binary_search(&name).is_ok()
    }
}

const fn fields<'de, T: Wire<'de>>() -> Fields {
    Fields { known: T::KNOWN, ignored: T::IGNORED }
}

/// Every kind of object by the gateway's name of it; objects inside of others
/// by the name of their field.
pub fn known_fields() -> [(&'static str, Fields); 27] {
    [
        ("System", fields::<array::System<'_>>()),
        ("mdmCluster", fields::<array::MdmCluster<'_>>()),
        ("mdmCluster.member", fields::<array::MdmMember<'_>>()),
        ("connectivityInfo", fields::<array::PathInfo<'_>>()),
        ("ProtectionDomain", fields::<array::ProtectionDomain<'_>>()),
        ("FaultSet", fields::<array::FaultSet<'_>>()),
        ("StoragePool", fields::<array::StoragePool<'_>>()),
        ("Sds", fields::<nodes::Sds<'_>>()),
        ("ipList", fields::<nodes::Address<'_>>()),
        ("certificateInfo", fields::<nodes::Certificate<'_>>()),
        ("oscillatingCounter", fields::<nodes::Oscillating<'_>>()),
        ("oscillatingCounter.window", fields::<nodes::OscillatingWindow<'_>>()),
        ("Device", fields::<nodes::Device<'_>>()),
        ("Sdc", fields::<nodes::Sdc<'_>>()),
        ("Sdr", fields::<nodes::Sdr<'_>>()),
        ("Sdt", fields::<nodes::Sdt<'_>>()),
        ("Volume", fields::<data::Volume<'_>>()),
        ("mappedSdcInfo", fields::<data::Mapping<'_>>()),
        ("VTree", fields::<data::VTree<'_>>()),
        ("vtreeMigrationInfo", fields::<data::Migration<'_>>()),
        ("SnapshotPolicy", fields::<data::SnapshotPolicy<'_>>()),
        ("ReplicationConsistencyGroup", fields::<replication::ConsistencyGroup<'_>>()),
        ("ReplicationPair", fields::<replication::Pair<'_>>()),
        ("PeerMdm", fields::<replication::Peer<'_>>()),
        ("Alert", fields::<alerts::Alert<'_>>()),
        ("alerts", fields::<alerts::ManagerAlert<'_>>()),
        ("events", fields::<alerts::Event<'_>>()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_ignored_fields_are_ascending_and_name_no_used_field() {
        for (kind, fields) in known_fields() {
            assert!(fields.ignored.is_sorted_by(|a, b| a < b), "{kind} is not ascending");
            for name in fields.known {
                assert!(fields.ignored.binary_search(name).is_err(), "{kind}.{name} is used and ignored");
            }
        }
    }
}
