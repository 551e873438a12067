//! What a check found, how people read it, and how the command ends.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::controller::tame;

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It works, and a person should know.
    Warn,
    /// It does not work.
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What was looked at.
    pub(super) what: String,
    /// What was seen.
    pub(super) says: String,
    /// What to do; none when all is well or `says` has it already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(what: impl Into<String>, says: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), says: says.into(), mend: None }
    }

    pub(super) fn warn(what: impl Into<String>, says: impl Into<String>, mend: &str) -> Self {
        Self { level: Level::Warn, ..Self::fail(what, says, mend) }
    }

    pub(super) fn fail(what: impl Into<String>, says: impl Into<String>, mend: &str) -> Self {
        let mend = (!mend.is_empty()).then(|| mend.to_owned());
        Self { level: Level::Fail, what: what.into(), says: says.into(), mend }
    }
}

/// The report for people.
pub(super) fn render(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let level = match finding.level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{level}  {:width$}  {}", tame(&finding.what), tame(&finding.says));
        if let Some(mend) = &finding.mend {
            let _ = writeln!(text, "      {:width$}  -> {}", "", tame(mend));
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let _ = match (count(Level::Fail), count(Level::Warn)) {
        (0, 0) => writeln!(text, "\nall is well"),
        (0, warnings) => writeln!(text, "\nit works; {warnings} to look at"),
        (failures, warnings) => writeln!(text, "\n{failures} to mend, {warnings} to look at"),
    };
    text
}

/// Warnings alone are no failure: a script may go on.
pub(super) fn code(findings: &[Finding]) -> u8 {
    if findings.iter().any(|finding| finding.level == Level::Fail) { crate::cli::FAILED } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_one_line_each_with_the_mend_below_and_scripts_the_code() {
        let findings = [
            Finding::ok("rules", "74 alerts"),
            Finding::warn("disk /var", "900 MiB \u{1b}[2Jfree", "make room"),
            Finding::fail("mail", "mx (tls): no STARTTLS", ""),
        ];
        assert_eq!(
            render(&findings),
            "ok    rules      74 alerts\nwarn  disk /var  900 MiB ?[2Jfree\n                 -> make room\n\
             FAIL  mail       mx (tls): no STARTTLS\n\n1 to mend, 1 to look at\n"
        );
        assert_eq!((code(&findings), code(&findings[..2]), code(&[])), (1, 0, 0));
        assert!(render(&findings[..2]).ends_with("\nit works; 1 to look at\n"));
        assert!(render(&findings[..1]).ends_with("\nall is well\n"));
    }
}
