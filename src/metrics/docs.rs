//! How is the catalogue read by people? `docs/metrics.md`, written from it.

use std::fmt::Write as _;

use super::catalog::{Type, families};

/// The text of `docs/metrics.md`.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Metrics\n\n\
         Written from the catalogue in `src/metrics/catalog/`; `UPDATE_DOCS=1 cargo test --test metrics` writes it again.\n\n\
         Bytes, seconds and ratios of 0 to 1. Capacity is raw (all copies) unless the help says net. A value that does\n\
         not exist is absent, never 0: an idle volume has no latency, ScaleIO 2.x has no snapshot policies. Of a set of\n\
         states only the current one has a series. An object without a name is called by its address, or else its id;\n\
         of two with one name inside one parent, the later gets its id appended.\n\n\
         Gauges named `_per_second` are rates over the window of a few seconds that the MDM measures, not over the time\n\
         between two polls. `collect[]` chooses by the collector in the last column of a table; `scaleio_up`,\n\
         `scaleio_snapshot_seq` and `scaleio_snapshot_timestamp_seconds` are in every answer.\n",
    );
    let mut heading = "";
    for family in families() {
        if family.area != heading {
            heading = family.area;
            let _ = write!(
                out,
                "\n## {heading}\n\n| Name | Type | Labels | Help | Source | Collector |\n|---|---|---|---|---|---|\n"
            );
        }
        let labels = if family.labels.is_empty() { "–".to_owned() } else { family.labels.join(", ") };
        let _ = writeln!(
            out,
            "| `{}` | {} | {labels}{} | {} | {} | {} |",
            family.name,
            family.kind.as_str(),
            if family.kind == Type::Histogram { ", le" } else { "" },
            cell(&family.help),
            cell(family.source),
            family.scope.as_str(),
        );
    }
    out
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('*', "\\*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_that_was_promised_and_can_be_known_is_there() {
        let promised = include_str!("../../tests/expected/promised.txt");
        let lines = promised.lines().filter(|line| !line.starts_with('#'));
        let missing: Vec<&str> = lines
            .filter_map(|line| line.strip_suffix(": present"))
            .filter(|name| families().iter().all(|family| family.name != *name))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert_eq!(promised.matches("\nscaleio_").count(), 186);
    }
}
