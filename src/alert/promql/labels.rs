//! What identifies a series? A set of labels, sorted by name, whose hash is
//! computed once and whose clone is a reference count.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// Labels that describe the metric and not the object; they go when an operation makes another quantity of the value.
const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

static EMPTY: LazyLock<Labels> = LazyLock::new(|| Labels::from_sorted(Vec::new()));

/// One label: a name and a value that is never empty (an empty label is a missing label).
type Pair = (Arc<str>, Arc<str>);

/// An immutable label set, cheap to clone and to compare.
#[derive(Clone)]
pub struct Labels(Arc<Inner>);

struct Inner {
    hash: u64,
    pairs: Box<[Pair]>,
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
        let mut sorted: Vec<Pair> = Vec::new();
        for (name, value) in pairs {
            let (name, value) = (name.into(), value.into());
            match sorted.binary_search_by(|(n, _)| n.as_ref().cmp(name.as_ref())) {
                Ok(at) => sorted[at].1 = value,
                Err(at) => sorted.insert(at, (name, value)),
            }
        }
        sorted.retain(|(_, value)| !value.is_empty());
        Self::from_sorted(sorted)
    }

    fn from_sorted(pairs: Vec<Pair>) -> Self {
        let hash = hash_pairs(pairs.iter());
        Self(Arc::new(Inner { hash, pairs: pairs.into_boxed_slice() }))
    }

    /// The value of a label, `""` when it is missing.
    pub fn get(&self, name: &str) -> &str {
        self.value(name).map_or("", |value| value.as_ref())
    }

    fn value(&self, name: &str) -> Option<&Arc<str>> {
        // Sets are small: walking beats bisecting.
        self.0.pairs.iter().find(|(n, _)| n.as_ref() == name).map(|(_, value)| value)
    }

    /// The metric's name, `""` when there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// Names and values in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// How many labels there are, the name included.
    pub fn len(&self) -> usize {
        self.0.pairs.len()
    }

    /// Whether there are no labels at all.
    pub fn is_empty(&self) -> bool {
        self.0.pairs.is_empty()
    }

    /// Only the labels named in `names`, which is sorted.
    pub fn keep(&self, names: &[Arc<str>]) -> Self {
        self.filtered(|name| contains(names, name))
    }

    /// Without the labels named in `names`, which is sorted.
    pub fn without(&self, names: &[Arc<str>]) -> Self {
        self.filtered(|name| !contains(names, name))
    }

    /// Without name, type and unit: what is left when the value became another quantity.
    pub fn without_metadata(&self) -> Self {
        if METADATA.iter().all(|name| self.value(name).is_none()) {
            return self.clone();
        }
        self.filtered(|name| !METADATA.contains(&name))
    }

    fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        let pairs: Vec<Pair> = self.0.pairs.iter().filter(|(name, _)| keep(name)).cloned().collect();
        if pairs.len() == self.0.pairs.len() {
            return self.clone();
        }
        if pairs.is_empty() { Self::empty() } else { Self::from_sorted(pairs) }
    }

    /// With one label set to a value; an empty value removes it.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut pairs = self.0.pairs.to_vec();
        match (pairs.binary_search_by(|(n, _)| n.as_ref().cmp(name)), value.is_empty()) {
            (Ok(at), true) => drop(pairs.remove(at)),
            (Ok(at), false) => pairs[at].1 = Arc::from(value),
            (Err(_), true) => return self.clone(),
            (Err(at), false) => pairs.insert(at, (Arc::from(name), Arc::from(value))),
        }
        Self::from_sorted(pairs)
    }

    /// The hash of the labels in `names` (sorted) alone, without building the smaller set.
    pub(super) fn hash_of(&self, names: &[Arc<str>]) -> u64 {
        hash_pairs(self.0.pairs.iter().filter(|(name, _)| contains(names, name)))
    }

    /// The hash of everything but the labels in `names` (sorted).
    pub(super) fn hash_without(&self, names: &[Arc<str>]) -> u64 {
        hash_pairs(self.0.pairs.iter().filter(|(name, _)| !contains(names, name)))
    }

    /// Whether both sets agree on the labels in `names` (sorted).
    pub(super) fn agree_on(&self, other: &Self, names: &[Arc<str>]) -> bool {
        names.iter().all(|name| self.get(name) == other.get(name))
    }

    /// Whether both sets agree on everything but the labels in `names` (sorted).
    pub(super) fn agree_without(&self, other: &Self, names: &[Arc<str>]) -> bool {
        let mine = self.0.pairs.iter().filter(|(name, _)| !contains(names, name));
        let theirs = other.0.pairs.iter().filter(|(name, _)| !contains(names, name));
        mine.eq(theirs)
    }

    /// The bytes this set takes, roughly: what a memory bound counts.
    pub(super) fn weight(&self) -> usize {
        const PER_PAIR: usize = size_of::<Pair>() + 2 * 16;
        64 + self.iter().map(|(name, value)| name.len() + value.len() + PER_PAIR).sum::<usize>()
    }
}

fn contains(sorted: &[Arc<str>], name: &str) -> bool {
    sorted.iter().any(|n| n.as_ref() == name)
}

fn hash_pairs<'a>(pairs: impl Iterator<Item = &'a Pair>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, value) in pairs {
        name.hash(&mut hasher);
        value.hash(&mut hasher);
    }
    hasher.finish()
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.hash == other.0.hash && self.0.pairs == other.0.pairs)
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.pairs.cmp(&other.0.pairs)
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

    fn names(list: &[&str]) -> Vec<Arc<str>> {
        list.iter().map(|&name| Arc::from(name)).collect()
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
}
