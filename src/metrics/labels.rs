//! Which label text does each object have? Prepared once, and kept while names
//! and parents stay as they are.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::model::cluster::{
    ConsistencyGroup, Device, FaultSet, ProtectionDomain, Sdc, Sds, SnapshotPolicy, StoragePool, Volume,
};
use crate::model::id::{ProtectionDomainId, StoragePoolId};
use crate::model::snapshot::{Keyed, Snapshot, Table};

use super::encode::Labels;
use super::naming::{Escaped, Unique};

/// An object that has series of its own.
pub(crate) trait Labelled: Keyed<Id: fmt::Display> {
    /// The label that holds its name.
    const LABEL: &'static str;
    /// Labels of parents, the first `SCOPE` of which its name is unique in.
    const SCOPE: usize;

    /// Its name, or else its address.
    fn called(&self) -> Option<&str>;

    /// Labels of its parents, outermost first.
    fn parents<'a>(&'a self, tables: Tables<'a>) -> Vec<(&'static str, Cow<'a, str>)>;

    /// Whether nothing that its labels are made of differs.
    fn labelled_like(&self, other: &Self) -> bool;
}

/// Where names of parents are looked up.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tables<'a> {
    domains: Option<&'a LabelTable<ProtectionDomain>>,
    pools: Option<&'a LabelTable<StoragePool>>,
    sds: Option<&'a LabelTable<Sds>>,
}

impl<'a> Tables<'a> {
    /// Grows when any name in them changes.
    fn revision(self) -> u64 {
        self.domains.map_or(0, |table| table.renamed)
            + self.pools.map_or(0, |table| table.renamed)
            + self.sds.map_or(0, |table| table.renamed)
    }

    fn domain(self, id: Option<&'a ProtectionDomainId>) -> (&'static str, Cow<'a, str>) {
        ("protection_domain", name(self.domains, id))
    }

    fn pool(self, id: Option<&'a StoragePoolId>) -> (&'static str, Cow<'a, str>) {
        ("storage_pool", name(self.pools, id))
    }

    fn domain_of_pool(self, id: Option<&'a StoragePoolId>) -> Option<&'a ProtectionDomainId> {
        self.pools?.object(id?)?.domain.as_ref()
    }
}

/// The name of a parent; its id when it is not in the table; nothing when
/// there is no parent.
fn name<'a, T: Labelled>(table: Option<&'a LabelTable<T>>, id: Option<&'a T::Id>) -> Cow<'a, str> {
    let Some(id) = id else { return Cow::Borrowed("") };
    match table.and_then(|table| table.name(id)) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(id.to_string()),
    }
}

/// The labels of all objects of one kind.
pub(crate) struct LabelTable<T> {
    objects: Option<Arc<Table<T>>>,
    text: Vec<u8>,
    /// Where the text of each object ends.
    ends: Vec<usize>,
    names: Vec<String>,
    parents: u64,
    /// Grows when a label text changes.
    renamed: u64,
    /// Grows when a label text changes or the objects were asked anew.
    changed: u64,
}

impl<T> Default for LabelTable<T> {
    fn default() -> Self {
        Self {
            objects: None,
            text: Vec::new(),
            ends: Vec::new(),
            names: Vec::new(),
            parents: 0,
            renamed: 0,
            changed: 0,
        }
    }
}

impl<T: Labelled> LabelTable<T> {
    /// Brings the table up to these objects. When they are missing from a
    /// snapshot their names stay known, so that the labels of what is inside
    /// them do not change.
    pub(crate) fn update(&mut self, system: &[u8], objects: Option<&Arc<Table<T>>>, tables: Tables<'_>) {
        let Some(objects) = objects else { return };
        let parents = tables.revision();
        let known = self.objects.as_ref();
        if parents == self.parents && known.is_some_and(|known| Arc::ptr_eq(known, objects)) {
            return;
        }
        let alike = parents == self.parents
            && known.is_some_and(|known| {
                known.len() == objects.len() && known.iter().zip(objects.iter()).all(|(a, b)| a.labelled_like(b))
            });
        if !alike {
            self.write(system, objects, tables);
            self.renamed += 1;
        }
        self.objects = Some(Arc::clone(objects));
        self.parents = parents;
        self.changed += 1;
    }

    fn write(&mut self, system: &[u8], objects: &Table<T>, tables: Tables<'_>) {
        self.text.clear();
        self.ends.clear();
        self.names.clear();
        let mut unique = Unique::default();
        for object in objects.iter() {
            let parents = object.parents(tables);
            let scope: Vec<&str> = parents.iter().take(T::SCOPE).map(|(_, value)| value.as_ref()).collect();
            let name = unique.name(&scope.join("\0"), object.called(), object.id());
            self.text.extend_from_slice(system);
            for (label, value) in
                parents.iter().map(|(label, value)| (*label, value.as_ref())).chain([(T::LABEL, name.as_str())])
            {
                self.text.push(b',');
                self.text.extend_from_slice(label.as_bytes());
                self.text.extend_from_slice(b"=\"");
                Escaped(&mut self.text).push(value);
                self.text.push(b'"');
            }
            self.ends.push(self.text.len());
            self.names.push(name);
        }
    }

    /// The name that an object has in labels.
    pub(crate) fn name(&self, id: &T::Id) -> Option<&str> {
        self.place(id).and_then(|place| self.names.get(place)).map(String::as_str)
    }

    /// Grows when anything that is made from the objects alone may differ.
    pub(crate) const fn changed(&self) -> u64 {
        self.changed
    }

    /// The labels of the n-th object.
    pub(crate) fn nth(&self, place: usize) -> Labels<'_> {
        let begin = if place == 0 { 0 } else { self.ends[place - 1] };
        Labels::new(&self.text[begin..self.ends[place]])
    }

    fn object(&self, id: &T::Id) -> Option<&T> {
        self.objects.as_ref()?.get(id)
    }

    fn place(&self, id: &T::Id) -> Option<usize> {
        self.objects.as_ref()?.binary_search_by(|object| object.id().cmp(id)).ok()
    }
}

/// The label tables of one system.
#[derive(Default)]
pub(crate) struct Names {
    /// `system="..."`.
    pub(crate) system: Vec<u8>,
    pub(crate) domains: LabelTable<ProtectionDomain>,
    pub(crate) fault_sets: LabelTable<FaultSet>,
    pub(crate) pools: LabelTable<StoragePool>,
    pub(crate) sds: LabelTable<Sds>,
    pub(crate) devices: LabelTable<Device>,
    pub(crate) sdcs: LabelTable<Sdc>,
    pub(crate) volumes: LabelTable<Volume>,
    pub(crate) policies: LabelTable<SnapshotPolicy>,
    pub(crate) groups: LabelTable<ConsistencyGroup>,
}

impl Names {
    /// The tables of a system of which nothing is known.
    pub(crate) fn new(system: &str) -> Self {
        let mut text = b"system=\"".to_vec();
        Escaped(&mut text).push(system);
        text.push(b'"');
        Self { system: text, ..Self::default() }
    }

    /// Brings all tables up to a snapshot, parents first.
    pub(crate) fn update(&mut self, snapshot: &Snapshot) {
        fn list<T>(slot: &crate::model::snapshot::Slot<Table<T>>) -> Option<&Arc<Table<T>>> {
            slot.as_ref().map(|part| &part.value)
        }
        let system = &self.system;
        self.domains.update(system, list(&snapshot.domains), Tables::default());
        let tables = Tables { domains: Some(&self.domains), ..Tables::default() };
        self.fault_sets.update(system, list(&snapshot.fault_sets), tables);
        self.pools.update(system, list(&snapshot.pools), tables);
        self.sds.update(system, list(&snapshot.sds), tables);
        let tables = Tables { pools: Some(&self.pools), sds: Some(&self.sds), ..tables };
        self.devices.update(system, list(&snapshot.devices), tables);
        self.volumes.update(system, list(&snapshot.volumes), tables);
        self.sdcs.update(system, list(&snapshot.sdcs), Tables::default());
        self.policies.update(system, list(&snapshot.policies), Tables::default());
        self.groups.update(system, list(&snapshot.groups), Tables::default());
    }
}

/// Objects that have a name of their own and at most a protection domain.
macro_rules! labelled {
    ($($object:ty: $label:literal $(in $domain:ident)?),* $(,)?) => {$(
        impl Labelled for $object {
            const LABEL: &'static str = $label;
            const SCOPE: usize = 1;

            fn called(&self) -> Option<&str> {
                self.name.as_deref()
            }

            fn parents<'a>(&'a self, _tables: Tables<'a>) -> Vec<(&'static str, Cow<'a, str>)> {
                vec![$(_tables.domain(self.$domain.as_ref()))?]
            }

            fn labelled_like(&self, other: &Self) -> bool {
                self.id == other.id && self.name == other.name $(&& self.$domain == other.$domain)?
            }
        }
    )*};
}

labelled! {
    ProtectionDomain: "protection_domain",
    FaultSet: "fault_set" in domain,
    StoragePool: "storage_pool" in domain,
    SnapshotPolicy: "policy",
    ConsistencyGroup: "consistency_group",
}

impl Labelled for Sds {
    const LABEL: &'static str = "sds";
    const SCOPE: usize = 1;

    fn called(&self) -> Option<&str> {
        self.name.as_deref().or_else(|| self.addresses.first().map(|address| &*address.ip))
    }

    fn parents<'a>(&'a self, tables: Tables<'a>) -> Vec<(&'static str, Cow<'a, str>)> {
        vec![tables.domain(self.domain.as_ref())]
    }

    fn labelled_like(&self, other: &Self) -> bool {
        self.id == other.id && self.domain == other.domain && self.called() == other.called()
    }
}

impl Labelled for Sdc {
    const LABEL: &'static str = "sdc";
    const SCOPE: usize = 0;

    fn called(&self) -> Option<&str> {
        self.name.as_deref().or_else(|| self.addresses.first().map(|address| &**address))
    }

    fn parents<'a>(&'a self, _: Tables<'a>) -> Vec<(&'static str, Cow<'a, str>)> {
        Vec::new()
    }

    fn labelled_like(&self, other: &Self) -> bool {
        self.id == other.id && self.called() == other.called()
    }
}

impl Labelled for Device {
    const LABEL: &'static str = "device";
    // A device may move between pools; its name is unique on its SDS.
    const SCOPE: usize = 2;

    fn called(&self) -> Option<&str> {
        self.name.as_deref().or(self.path.as_deref())
    }

    fn parents<'a>(&'a self, tables: Tables<'a>) -> Vec<(&'static str, Cow<'a, str>)> {
        let sds = self.sds.as_ref().and_then(|id| tables.sds?.object(id));
        let domain = sds.and_then(|sds| sds.domain.as_ref()).or_else(|| tables.domain_of_pool(self.pool.as_ref()));
        vec![tables.domain(domain), ("sds", name(tables.sds, self.sds.as_ref())), tables.pool(self.pool.as_ref())]
    }

    fn labelled_like(&self, other: &Self) -> bool {
        self.id == other.id && self.sds == other.sds && self.pool == other.pool && self.called() == other.called()
    }
}

impl Labelled for Volume {
    const LABEL: &'static str = "volume";
    const SCOPE: usize = 2;

    fn called(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn parents<'a>(&'a self, tables: Tables<'a>) -> Vec<(&'static str, Cow<'a, str>)> {
        vec![tables.domain(tables.domain_of_pool(self.pool.as_ref())), tables.pool(self.pool.as_ref())]
    }

    fn labelled_like(&self, other: &Self) -> bool {
        self.id == other.id && self.pool == other.pool && self.name == other.name
    }
}
