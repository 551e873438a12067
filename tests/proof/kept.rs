//! Is a text still as it was kept? `UPDATE_EXPECTED=1` renews it.

/// Compares a text with `tests/expected/NAME`, or writes it there.
pub(crate) fn same(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected").join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{} differs; look at it, and renew it with UPDATE_EXPECTED=1\n{text}", path.display());
}
