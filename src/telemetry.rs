//! Which log lines are written, and how: `tracing` to stderr.

use std::io;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Log, LogFormat};

/// Their debug and trace levels print headers, and so tokens; whoever needs
/// them names them in the filter.
const NOISY: [&str; 9] =
    ["axum", "h2", "hyper", "hyper_util", "reqwest", "rustls", "rustls_platform_verifier", "tokio_util", "tower"];

/// Why log lines cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error(
        "{filter:?} is no filter for log lines: {why}; write a level, or \"info,scaleio_framework::gateway=debug\""
    )]
    Filter {
        /// What was configured.
        filter: String,
        /// What the parser says.
        why: String,
    },
    /// Something in this process writes log lines already.
    #[error("log lines are already taken care of in this process")]
    Taken,
}

/// Writes log lines to stderr from now on.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    subscriber(log, io::stderr)?.try_init().map_err(|_| TelemetryError::Taken)
}

/// A subscriber that writes where it is told.
pub fn subscriber<W>(log: &Log, writer: W) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter(&log.level).map_err(|why| TelemetryError::Filter { filter: log.level.clone(), why })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(Box::new(tracing_subscriber::registry().with(lines.with_filter(filter))))
}

/// Whether a filter can be read; else why not.
pub fn check_filter(text: &str) -> Result<(), String> {
    filter(text).map(|_| ())
}

fn filter(text: &str) -> Result<Targets, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut default = LevelFilter::OFF;
    let mut named = Vec::new();
    for part in parts {
        if part.contains('[') {
            // It would open every crate within the span, those that print tokens too.
            return Err(format!("{part:?} names a span; name a module"));
        }
        match part.split_once('=') {
            None => default = part.parse().map_err(|_| format!("{part:?} is no level"))?,
            Some((target, level)) => {
                let level: LevelFilter = level.parse().map_err(|_| format!("{level:?} in {part:?} is no level"))?;
                named.push((target.trim(), level));
            }
        }
    }
    let cap = default.min(LevelFilter::WARN);
    let caps = NOISY.into_iter().map(|target| (target, cap)).filter(|(noisy, _)| named.iter().all(|(n, _)| n != noisy));
    Ok(Targets::new().with_default(default).with_targets(caps).with_targets(named.iter().copied()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(level: &str, format: LogFormat, act: impl FnOnce()) -> String {
        let lines = Lines::default();
        let to = lines.clone();
        let log = Log { level: level.to_owned(), format };
        tracing::subscriber::with_default(subscriber(&log, move || to.clone()).unwrap(), act);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    fn speak() {
        tracing::trace!(target: "hyper::proto", "authorization: secret");
        tracing::trace!(target: "reqwest::connect", "token secret");
        tracing::warn!(target: "hyper::proto", "a warning of hyper");
        tracing::trace!(target: "scaleio_framework::poll", "ours");
    }

    #[test]
    fn crates_that_print_headers_are_capped_even_at_trace() {
        let text = written("trace", LogFormat::Text, speak);
        assert!(text.contains("ours") && text.contains("a warning of hyper"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn a_crate_that_the_operator_names_is_not_capped() {
        let text = written("info,hyper=trace", LogFormat::Text, speak);
        assert!(text.contains("authorization"), "{text}");
        assert!(!text.contains("token secret"), "{text}");
        assert!(!text.contains("ours"), "{text}");
    }

    #[test]
    fn a_cap_does_not_open_what_is_closed() {
        assert_eq!(written("error", LogFormat::Text, speak), "");
        assert_eq!(written("off", LogFormat::Text, speak), "");
    }

    #[test]
    fn json_is_one_object_a_line_with_fields_at_the_top() {
        let text = written("info", LogFormat::Json, || tracing::info!(system = "prod", "polled"));
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!((line["message"].as_str(), line["system"].as_str()), (Some("polled"), Some("prod")));
    }

    #[test]
    fn a_filter_that_cannot_be_read_says_which_part() {
        for (text, part) in
            [("", "empty"), ("inof", "inof"), ("info,gateway=loud", "gateway=loud"), ("warn,[poll]=trace", "span")]
        {
            let why = check_filter(text).unwrap_err();
            assert!(why.contains(part), "{text:?}: {why}");
        }
        for text in ["info", "WARN", "info, scaleio_framework::gateway=debug", "OFF"] {
            check_filter(text).unwrap();
        }
    }
}
