//! What identifies a series? A set of labels, sorted by name. Cutting labels off is
//! a mask over the same set, and all comparing goes by hashes made once, so that an
//! evaluation over many series touches none of their texts.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// Keys of all hashes here. Object names come from outside; keys that nobody can know
/// make a crafted collision impossible, and a chance one has odds of 2^-64.
static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Labels that describe the metric and not the object; they go when an operation makes another quantity of the value.
static METADATA: LazyLock<[Name; 3]> = LazyLock::new(|| [METRIC_NAME, "__type__", "__unit__"].map(Name::from));

static EMPTY: LazyLock<Labels> = LazyLock::new(|| Labels::from_sorted(Vec::new()));

/// Labels a mask can hide; a larger set is copied instead.
const MASK_BITS: usize = 64;

/// The name of a label, as expressions hold it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    text: Arc<str>,
    hash: u64,
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self { text: Arc::from(text), hash: KEYS.hash_one(text) }
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// The hash of a label with its value, for comparing without reading either.
pub(super) fn pair_hash(name: &str, value: &str) -> u64 {
    KEYS.hash_one((name, value))
}

/// One label. Its value is never empty: an empty label is a missing label.
#[derive(Clone)]
struct Pair {
    name: Arc<str>,
    value: Arc<str>,
    name_hash: u64,
    hash: u64,
}

impl Pair {
    fn new(name: Arc<str>, value: Arc<str>) -> Self {
        let (name_hash, hash) = (KEYS.hash_one(name.as_ref()), pair_hash(&name, &value));
        Self { name, value, name_hash, hash }
    }

    fn is_one_of(&self, names: &[Name]) -> bool {
        names.iter().any(|name| name.hash == self.name_hash)
    }
}

/// An immutable label set, cheap to clone, to cut and to compare.
#[derive(Clone)]
pub struct Labels {
    pairs: Arc<[Pair]>,
    /// A bit for each label of `pairs` that is cut off.
    hidden: u64,
    hash: u64,
}

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        EMPTY.clone()
    }

    /// Builds a set from pairs in any order. Empty values are dropped; of two equal names the later one counts.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let mut sorted: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for (name, value) in pairs {
            let (name, value) = (name.into(), value.into());
            match sorted.binary_search_by(|(n, _)| n.as_ref().cmp(name.as_ref())) {
                Ok(at) => sorted[at].1 = value,
                Err(at) => sorted.insert(at, (name, value)),
            }
        }
        sorted.retain(|(_, value)| !value.is_empty());
        Self::from_sorted(sorted.into_iter().map(|(name, value)| Pair::new(name, value)).collect())
    }

    fn from_sorted(pairs: Vec<Pair>) -> Self {
        let hash = fold(pairs.iter());
        Self { pairs: pairs.into(), hidden: 0, hash }
    }

    /// The labels that are not cut off.
    fn visible(&self) -> impl Iterator<Item = &Pair> {
        self.pairs
            .iter()
            .enumerate()
            .filter(|(at, _)| self.hidden.checked_shr(*at as u32).unwrap_or(0) & 1 == 0)
            .map(|(_, pair)| pair)
    }

    /// The value of a label, `""` when it is missing.
    pub fn get(&self, name: &str) -> &str {
        self.visible().find(|pair| pair.name.as_ref() == name).map_or("", |pair| &pair.value)
    }

    /// The same, without reading names.
    pub(super) fn value_of(&self, name: &Name) -> &str {
        self.visible().find(|pair| pair.name_hash == name.hash).map_or("", |pair| &pair.value)
    }

    /// The [`pair_hash`] of a label; `None` when it is missing.
    pub(super) fn pair_hash_of(&self, name: &Name) -> Option<u64> {
        self.visible().find(|pair| pair.name_hash == name.hash).map(|pair| pair.hash)
    }

    /// The metric's name, `""` when there is none.
    pub fn metric_name(&self) -> &str {
        self.value_of(&METADATA[0])
    }

    /// Names and values in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.visible().map(|pair| (pair.name.as_ref(), pair.value.as_ref()))
    }

    /// How many labels there are, the name included.
    pub fn len(&self) -> usize {
        self.visible().count()
    }

    /// Whether there are no labels at all.
    pub fn is_empty(&self) -> bool {
        self.visible().next().is_none()
    }

    /// Only the labels named.
    pub(super) fn keep(&self, names: &[Name]) -> Self {
        self.filtered(|pair| pair.is_one_of(names))
    }

    /// Without the labels named.
    pub(super) fn without(&self, names: &[Name]) -> Self {
        self.filtered(|pair| !pair.is_one_of(names))
    }

    /// Without name, type and unit: what is left when the value became another quantity.
    pub(super) fn without_metadata(&self) -> Self {
        self.without(METADATA.as_slice())
    }

    fn filtered(&self, keep: impl Fn(&Pair) -> bool) -> Self {
        if self.pairs.len() > MASK_BITS {
            return Self::from_sorted(self.visible().filter(|pair| keep(pair)).cloned().collect());
        }
        let mut hidden = self.hidden;
        for (at, pair) in self.pairs.iter().enumerate() {
            hidden |= u64::from(!keep(pair)) << at;
        }
        let mut cut = Self { pairs: Arc::clone(&self.pairs), hidden, hash: self.hash };
        if hidden != self.hidden {
            cut.hash = fold(cut.visible());
        }
        cut
    }

    /// A set that holds no more than it shows: what is kept for long must not keep what was cut off.
    pub(super) fn compacted(&self) -> Self {
        if self.hidden == 0 { self.clone() } else { Self::from_sorted(self.visible().cloned().collect()) }
    }

    /// With one label set to a value; an empty value removes it.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut pairs: Vec<Pair> = self.visible().filter(|pair| pair.name.as_ref() != name).cloned().collect();
        if !value.is_empty() {
            let at = pairs.partition_point(|pair| pair.name.as_ref() < name);
            pairs.insert(at, Pair::new(Arc::from(name), Arc::from(value)));
        }
        Self::from_sorted(pairs)
    }

    /// The hash of the labels named alone.
    pub(super) fn hash_of(&self, names: &[Name]) -> u64 {
        fold(self.visible().filter(|pair| pair.is_one_of(names)))
    }

    /// The hash of everything but the labels named.
    pub(super) fn hash_without(&self, names: &[Name]) -> u64 {
        fold(self.visible().filter(|pair| !pair.is_one_of(names)))
    }

    /// Whether both sets agree on the labels named.
    pub(super) fn agree_on(&self, other: &Self, names: &[Name]) -> bool {
        let mine = self.visible().filter(|pair| pair.is_one_of(names)).map(|pair| pair.hash);
        mine.eq(other.visible().filter(|pair| pair.is_one_of(names)).map(|pair| pair.hash))
    }

    /// Whether both sets agree on everything but the labels named.
    pub(super) fn agree_without(&self, other: &Self, names: &[Name]) -> bool {
        let mine = self.visible().filter(|pair| !pair.is_one_of(names)).map(|pair| pair.hash);
        mine.eq(other.visible().filter(|pair| !pair.is_one_of(names)).map(|pair| pair.hash))
    }

    /// The bytes this set takes, roughly: what a memory bound counts.
    pub(super) fn weight(&self) -> usize {
        const PER_PAIR: usize = size_of::<Pair>() + 2 * 16;
        size_of::<Self>() + 16 + self.iter().map(|(name, value)| name.len() + value.len() + PER_PAIR).sum::<usize>()
    }
}

/// One hash of several, in their order.
fn fold<'a>(pairs: impl Iterator<Item = &'a Pair>) -> u64 {
    // Any odd constant with well-mixed bits does; this one is 2^64 over the golden ratio.
    pairs.fold(0, |hash: u64, pair| (hash.rotate_left(23) ^ pair.hash).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        (Arc::ptr_eq(&self.pairs, &other.pairs) && self.hidden == other.hidden)
            || (self.hash == other.hash && self.iter().eq(other.iter()))
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

/// As Prometheus writes a series: `name{label="value"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric_name())?;
        let mut rest = self.iter().filter(|(name, _)| *name != METRIC_NAME).peekable();
        if rest.peek().is_none() && !self.metric_name().is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, (name, value)) in rest.enumerate() {
            write!(f, "{}{name}={value:?}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<Name> {
        list.iter().map(|&name| Name::from(name)).collect()
    }

    #[test]
    fn order_and_empty_values_do_not_matter() {
        let one = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", "")]);
        let two = Labels::from_pairs([("a", "1"), ("b", "2")]);
        assert_eq!(one, two);
        assert_eq!(one.get("c"), "");
        assert_eq!(one.to_string(), r#"{a="1", b="2"}"#);
    }

    #[test]
    fn a_part_hashes_and_compares_like_the_set_cut_down() {
        let set = Labels::from_pairs([("__name__", "x"), ("a", "1"), ("b", "2")]);
        assert_eq!(set.hash_of(&names(&["a"])), set.keep(&names(&["a"])).hash_of(&names(&["a"])));
        assert_eq!(set.hash_without(&names(&["__name__", "b"])), set.hash_of(&names(&["a"])));
        let other = Labels::from_pairs([("__name__", "y"), ("a", "1"), ("b", "3")]);
        assert!(set.agree_on(&other, &names(&["a"])) && !set.agree_on(&other, &names(&["a", "b"])));
        assert!(set.agree_without(&other, &names(&["__name__", "b"])));
        assert!(!set.agree_without(&other, &names(&["__name__"])));
    }

    #[test]
    fn setting_a_label_to_nothing_removes_it() {
        let set = Labels::from_pairs([("a", "1")]);
        assert_eq!(set.with("a", ""), Labels::empty());
        assert_eq!(set.with("b", "2").with("b", ""), set);
    }

    #[test]
    fn a_set_that_was_cut_is_the_set_that_was_never_larger() {
        let small = Labels::from_pairs([("a", "1"), ("c", "3")]);
        let cut = Labels::from_pairs([("__name__", "x"), ("a", "1"), ("b", "2"), ("c", "3")]);
        let cut = cut.without_metadata().without(&names(&["b"]));
        assert_eq!((&cut, cut.hash, cut.len(), cut.to_string()), (&small, small.hash, 2, small.to_string()));
        assert_eq!(cut.compacted().pairs.len(), 2);
        assert_eq!(cut.with("b", "9"), Labels::from_pairs([("a", "1"), ("b", "9"), ("c", "3")]));
        assert!(cut.keep(&names(&["z"])).is_empty() && cut.get("b").is_empty());
        let many = Labels::from_pairs((0..100).map(|i| (format!("n{i:02}"), "v")));
        assert_eq!(many.without(&names(&["n99"])).len(), 99);
        assert_eq!(many.keep(&names(&["n99"])), Labels::from_pairs([("n99", "v")]));
    }
}
