//! Is a text still as it was kept? `UPDATE_EXPECTED=1` renews it.

use std::path::{Path, PathBuf};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../expected").join(name)
}

/// Compares a text with `tests/expected/NAME`, or writes it there.
pub(crate) fn same(name: &str, new: &str) {
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(path(name), new).unwrap();
        return;
    }
    let path = path(name);
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == new, "{} differs; look at it, and renew it with UPDATE_EXPECTED=1\n{new}", path.display());
}
