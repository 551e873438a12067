//! What do the rules say at this site? Thresholds and overrides of the
//! configuration, written into the rule files themselves, so that the built-in
//! engine and a Prometheus read the same.
//!
//! An override for some objects makes two rules of one: the general one leaves
//! these objects out, the other has only them. Which objects is asked of the
//! result, by a vector of one series with their labels, so it works for any
//! expression that keeps the labels.

use std::collections::{BTreeMap, BTreeSet};

use super::rule_file::{self, RawRule};
use super::rules::{Mistake, RuleSet};
use super::thresholds::{self, Part};
use crate::config::{Alerts, Override};
use crate::metrics::LATENCY_BOUNDS;
use crate::model::alerting::{THRESHOLDS, Threshold};

/// The files with all changes made; none when the configuration asks for none. `rules` is what the files say unchanged.
pub(super) fn tune(
    files: &[(String, String)],
    rules: &RuleSet,
    settings: &Alerts,
) -> Result<Option<Vec<(String, String)>>, Vec<Mistake>> {
    let changed = |threshold: &&Threshold| settings.thresholds.get(threshold.key) != Some(&threshold.default);
    let changed: Vec<&Threshold> = THRESHOLDS.iter().filter(changed).collect();
    if changed.is_empty() && settings.overrides.is_empty() {
        return Ok(None);
    }
    let values = changed.iter().filter_map(|threshold| Some((threshold.key, *settings.thresholds.get(threshold.key)?)));
    let mut tuning = Tuning { values: values.collect(), used: BTreeSet::new(), mistakes: Vec::new() };
    tuning.check_thresholds();
    for change in &settings.overrides {
        tuning.check_override(change, rules);
    }
    let mut out = Vec::with_capacity(files.len());
    for (name, text) in files {
        // They were read before.
        let Ok(mut file) = rule_file::parse(text) else { continue };
        let mut differs = false;
        for group in &mut file.groups {
            let before = std::mem::take(&mut group.rules);
            for rule in before {
                let rules = tuning.rule(name, &rule, &settings.overrides);
                differs |= rules.is_some();
                group.rules.extend(rules.unwrap_or_else(|| vec![rule]));
            }
        }
        out.push((name.clone(), if differs { rule_file::write(&file) } else { text.clone() }));
    }
    for key in tuning.values.keys().filter(|key| !tuning.used.contains(*key)) {
        let reason = format!(
            "alerts.thresholds.{key} is of no loaded rule; remove it, or load the file with the rule (alerts.files)"
        );
        tuning.mistakes.push(in_configuration("configuration".to_owned(), None, reason));
    }
    if tuning.mistakes.is_empty() { Ok(Some(out)) } else { Err(tuning.mistakes) }
}

fn in_configuration(place: String, alert: Option<&str>, reason: String) -> Mistake {
    Mistake { file: place, line: None, group: None, rule: alert.map(str::to_owned), reason }
}

struct Tuning {
    /// Thresholds that differ from what is shipped.
    values: BTreeMap<&'static str, f64>,
    used: BTreeSet<&'static str>,
    mistakes: Vec<Mistake>,
}

impl Tuning {
    fn check_thresholds(&mut self) {
        if let Some(value) = self.values.get("slo_latency")
            && !LATENCY_BOUNDS.contains(value)
        {
            let bounds: Vec<String> =
                LATENCY_BOUNDS.iter().map(|bound| format!("{}ms", (bound * 1e6).round() / 1e3)).collect();
            let reason = format!(
                "alerts.thresholds.slo_latency is no bound of the histogram of latencies; write one of {}",
                bounds.join(", ")
            );
            self.mistakes.push(in_configuration("configuration".to_owned(), None, reason));
        }
    }

    fn check_override(&mut self, change: &Override, rules: &RuleSet) {
        let mut wrong = |reason: String| {
            self.mistakes.push(in_configuration(change.place.to_string(), Some(&change.alert), reason));
        };
        let Some(rule) = rules.alerts.iter().find(|rule| rule.name.rule == change.alert) else {
            let names = rules.alerts.iter().map(|rule| rule.name.rule.as_str());
            let nearest = names.min_by_key(|name| strsim::osa_distance(name, &change.alert));
            let nearest = nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            return wrong(format!("no loaded rule has this alert{nearest}"));
        };
        if let Some(yields) = &rule.yields {
            for label in change.matches.keys().filter(|label| !yields.contains(*label)) {
                let known: Vec<&str> = yields.iter().map(String::as_str).collect();
                wrong(format!("match: the alert has no label `{label}`; it has {}", known.join(", ")));
            }
        }
        for (label, _) in change.matches.iter().filter(|(_, value)| value.is_empty()) {
            wrong(format!("match: `{label}` is empty; name the object"));
        }
        match (change.threshold, thresholds::main_of(&change.alert)) {
            (Some(_), None) => wrong("the alert has no threshold; use off, for or severity".to_owned()),
            (Some(limit), Some(threshold)) if limit.of(threshold).is_none() => {
                wrong(format!("threshold: {} is expected ({})", threshold.measure, threshold.key));
            }
            _ => {}
        }
    }

    /// What becomes of a rule; none when it stays as it is.
    fn rule(&mut self, file: &str, rule: &RawRule, overrides: &[Override]) -> Option<Vec<RawRule>> {
        let name = rule.name()?;
        let mine: Vec<&Override> =
            overrides.iter().filter(|change| rule.alert.as_deref() == Some(change.alert.as_str())).collect();
        let here = self.values.keys().filter(|key| !thresholds::places(key, name, false).is_empty());
        let here: Vec<&'static str> = here.copied().collect();
        if mine.is_empty() && here.is_empty() {
            return None;
        }
        self.used.extend(here);
        let for_all = |change: &&&Override| change.matches.is_empty();
        let kept = mine.iter().filter(for_all).try_fold(rule.clone(), |rule, change| self.changed(file, &rule, change));
        let is_on = kept.is_some();
        let mut general = kept.unwrap_or_else(|| rule.clone());
        let own = mine.iter().filter(for_all).any(|change| change.threshold.is_some());
        self.apply(file, &mut general, None, own);
        let some: Vec<&&Override> = mine.iter().filter(|change| !change.matches.is_empty()).collect();
        let mut special = Vec::new();
        for (place, change) in some.iter().enumerate() {
            if change.off {
                continue;
            }
            // From the rule as shipped: what the override says of its threshold counts, not what is said for all.
            let Some(mut one) = self.changed(file, rule, change) else { continue };
            self.apply(file, &mut one, None, change.threshold.is_some());
            if change.hold.is_none() {
                one.r#for.clone_from(&general.r#for);
            }
            if change.severity.is_none()
                && let Some(severity) = general.labels.get("severity")
            {
                one.labels.insert("severity".to_owned(), severity.clone());
            }
            if change.threshold.is_none() {
                one.expr.value.clone_from(&general.expr.value);
                one.annotations.clone_from(&general.annotations);
            }
            one.expr.value = format!("(\n{}\n)\nand {}", one.expr.value.trim(), series(&change.matches));
            let earlier = some.iter().take(place);
            one.expr.value.extend(earlier.map(|change| format!("\nunless {}", series(&change.matches))));
            special.push(one);
        }
        if !some.is_empty() {
            general.expr.value = format!("(\n{}\n)", general.expr.value.trim());
            general.expr.value.extend(some.iter().map(|change| format!("\nunless {}", series(&change.matches))));
        }
        Some(is_on.then_some(general).into_iter().chain(special).collect())
    }

    /// The rule with what an override says, but for its objects; none when it is off.
    fn changed(&mut self, file: &str, rule: &RawRule, change: &Override) -> Option<RawRule> {
        if change.off {
            return None;
        }
        let mut rule = rule.clone();
        if let Some(hold) = change.hold {
            rule.r#for = Some(if hold.subsec_millis() == 0 {
                format!("{}s", hold.as_secs())
            } else {
                format!("{}ms", hold.as_millis())
            });
        }
        if let Some(severity) = change.severity {
            rule.labels.insert("severity".to_owned(), severity.as_str().to_owned());
        }
        if let (Some(limit), Some(threshold)) = (change.threshold, thresholds::main_of(&change.alert))
            && let Some(value) = limit.of(threshold)
        {
            self.apply(file, &mut rule, Some((threshold.key, value)), false);
        }
        Some(rule)
    }

    /// Writes thresholds into a rule: this one, as an override says it; or all that the configuration changes, but for
    /// the main one when it has its value already.
    fn apply(&mut self, file: &str, rule: &mut RawRule, only: Option<(&'static str, f64)>, but_main: bool) {
        let Some(name) = rule.name().map(str::to_owned) else { return };
        let main = thresholds::main_of(&name).map(|threshold| threshold.key);
        let values = only.map_or_else(
            || {
                let all = self.values.iter().map(|(key, value)| (*key, *value));
                all.filter(|(key, _)| !(but_main && Some(*key) == main)).collect::<Vec<_>>()
            },
            |one| vec![one],
        );
        for (key, value) in values {
            for place in thresholds::places(key, &name, only.is_some()) {
                let new = thresholds::filled(place, value);
                match place.part {
                    Part::WholeExpr => rule.expr.value = new,
                    Part::Expr if rule.expr.value.contains(place.old) => {
                        rule.expr.value = rule.expr.value.replace(place.old, &new);
                    }
                    Part::Expr => {
                        let reason = format!(
                            "the expression says no {:?}, so {key} cannot be changed; write the number into the file",
                            place.old
                        );
                        self.mistakes.push(in_configuration(file.to_owned(), Some(&name), reason));
                    }
                    Part::Text => {
                        for text in rule.annotations.values_mut() {
                            *text = text.replace(place.old, &new);
                        }
                    }
                }
            }
        }
    }
}

/// `on` the labels, a vector of the one series that has them.
fn series(labels: &BTreeMap<String, String>) -> String {
    let names: Vec<&str> = labels.keys().map(String::as_str).collect();
    let vector = labels.iter().fold("vector(1)".to_owned(), |inner, (name, value)| {
        // `$` would name a group of the pattern.
        let value = promql_text(&value.replace('$', "$$"));
        format!("label_replace({inner}, \"{name}\", {value}, \"\", \"\")")
    });
    format!("on ({}) {vector}", names.join(", "))
}

/// A text as PromQL writes it.
fn promql_text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
