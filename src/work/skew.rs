//! Which of two releases is the newer one?

use std::cmp::Ordering;

/// The numbers in the text of a release, by which releases are ordered.
pub(super) fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Compares by the numbers in the texts, as in `R3_6.500.113`. Nothing when one
/// of them has none.
fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (numbers(a), numbers(b));
    (!a.is_empty() && !b.is_empty()).then(|| a.cmp(&b))
}

/// Whether the first is certainly not older than the second.
pub(super) fn at_least(a: &str, b: &str) -> bool {
    a == b || compare(a, b).is_some_and(Ordering::is_ge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert!(at_least("R3_6.500.113", "R3_6.0.0"));
        assert!(at_least("R2_6.11000.113", "R2_6.11000.113"));
        assert!(!at_least("R2_6.9.1", "R2_6.10.1"));
        assert!(!at_least("new", "R2_6.10.1"), "what is not understood is not newer");
        assert!(at_least("odd", "odd"));
    }
}
