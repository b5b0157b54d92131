//! Metrics as text: OpenMetrics for those who understand it, and Prometheus's own format.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::output::series::{Labels, Series, Sums};
use crate::run::loss;
use crate::run::tally::Tally;

/// A tool that metrics tell of.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) tool: &'static str,
    pub(super) tally: Arc<Tally>,
    pub(super) is_up: Arc<AtomicBool>,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Flavour {
    OpenMetrics,
    Prometheus,
}

impl Flavour {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Flavour::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Flavour::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The families of metrics, by name: all lines of one stand together.
#[derive(Debug)]
struct Families {
    flavour: Flavour,
    families: BTreeMap<String, Family>,
}

#[derive(Debug)]
struct Family {
    kind: &'static str,
    help: String,
    lines: String,
}

/// A histogram's upper limits: powers of two, of nanoseconds (a quarter of a microsecond to 68 s) or of
/// whatever the values are.
const TIMES: std::ops::RangeInclusive<usize> = 8..=36;
const NUMBERS: std::ops::RangeInclusive<usize> = 1..=40;
const NS: f64 = 1e9;

/// Everything, as it is now.
pub(super) fn text(flavour: Flavour, subjects: &[Subject]) -> String {
    let mut families = Families { flavour, families: BTreeMap::new() };
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_string())];
    families.build(&version);
    for subject in subjects {
        families.subject(subject);
    }
    families.text()
}

impl Families {
    fn subject(&mut self, subject: &Subject) {
        let labels = vec![("name", subject.name.clone()), ("tool", subject.tool.to_string())];
        let is_up = u8::from(subject.is_up.load(Ordering::Relaxed));
        let help = "Whether the tool traces.";
        self.gauge("ebtools_tool_up", help, &labels, is_up.into());
        let accounts = subject.tally.accounts();
        let help = "Events that were written to the file, or counted.";
        self.counter("ebtools_events", help, &labels, accounts.delivered as f64);
        for reason in loss::reasons() {
            let of_reason = [&labels[..], &[("reason", reason.to_string())]].concat();
            let lost = accounts.lost.get(reason).copied().unwrap_or(0);
            let help = "Events that were lost, by reason.";
            self.counter("ebtools_events_lost", help, &of_reason, lost as f64);
        }
        self.series(subject.tool, &labels, &subject.tally.series());
    }

    fn series(&mut self, tool: &str, labels: &Labels, series: &Series) {
        for (own, sums) in series.iter() {
            let labels = [&labels[..], own].concat();
            if let Some(powers) = &sums.powers {
                self.histogram(tool, &labels, sums, powers);
                continue;
            }
            for (key, number) in &sums.numbers {
                let (name, value) = match *key {
                    "count" => (format!("ebtools_{tool}"), *number as f64),
                    "total_ns" => (format!("ebtools_{tool}_seconds"), *number as f64 / NS),
                    key => (format!("ebtools_{tool}_{key}"), *number as f64),
                };
                self.counter(&name, &format!("Reports of {tool}, added up."), &labels, value);
            }
        }
    }

    fn histogram(
        &mut self,
        tool: &str,
        labels: &Labels,
        sums: &Sums,
        powers: &BTreeMap<usize, u64>,
    ) {
        let number = |key| sums.numbers.get(key).copied().unwrap_or(0);
        let (name, limits, unit) = match sums.are_times {
            true => (format!("ebtools_{tool}_seconds"), TIMES, NS),
            false => (format!("ebtools_{tool}_value"), NUMBERS, 1.0),
        };
        let help = format!("What {tool} measured.");
        let mut lines = String::new();
        let mut line = |suffix: &str, labels: &Labels, value: f64| {
            lines.push_str(&line(&format!("{name}{suffix}"), labels, value));
        };
        for power in limits {
            // Values of the power of two below are less than this one.
            let count = powers.range(..power).map(|(_, count)| count).sum::<u64>();
            let least = 2f64.powi(i32::try_from(power).unwrap_or(0));
            // Limits are part of their buckets, and always have a point: 1.0.
            let le = vec![("le", format!("{:?}", (least - 1.0) / unit))];
            line("_bucket", &[&labels[..], &le].concat(), count as f64);
        }
        let all = powers.values().sum::<u64>() as f64;
        line("_bucket", &[&labels[..], &[("le", "+Inf".into())]].concat(), all);
        let total = number("total") + number("total_ns");
        line("_sum", labels, total as f64 / unit);
        line("_count", labels, all);
        self.family(&name, "histogram", &help).push_str(&lines);
        let errors = number("errors");
        let help = format!("Calls that {tool} has no measure of, as they failed.");
        self.counter(&format!("ebtools_{tool}_errors"), &help, labels, errors as f64);
    }

    fn counter(&mut self, name: &str, help: &str, labels: &Labels, value: f64) {
        let total = format!("{name}_total");
        let family = match self.flavour {
            Flavour::OpenMetrics => name,
            Flavour::Prometheus => &total,
        };
        let line = line(&total, labels, value);
        self.family(family, "counter", help).push_str(&line);
    }

    fn gauge(&mut self, name: &str, help: &str, labels: &Labels, value: f64) {
        let line = line(name, labels, value);
        self.family(name, "gauge", help).push_str(&line);
    }

    fn build(&mut self, labels: &Labels) {
        let (name, kind) = match self.flavour {
            Flavour::OpenMetrics => ("ebtools_build", "info"),
            Flavour::Prometheus => ("ebtools_build_info", "gauge"),
        };
        let line = line("ebtools_build_info", labels, 1.0);
        self.family(name, kind, "The version that runs.").push_str(&line);
    }

    fn family(&mut self, name: &str, kind: &'static str, help: &str) -> &mut String {
        let new = || Family { kind, help: help.to_string(), lines: String::new() };
        &mut self.families.entry(name.to_string()).or_insert_with(new).lines
    }

    fn text(self) -> String {
        let families = self.families.into_iter().map(|(name, Family { kind, help, lines })| {
            format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}")
        });
        let mut text = families.collect::<String>();
        if self.flavour == Flavour::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

fn line(name: &str, labels: &Labels, value: f64) -> String {
    let label = |(key, text): &(&str, String)| {
        format!(
            "{key}=\"{}\"",
            text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
        )
    };
    let labels = labels.iter().map(label).collect::<Vec<_>>().join(",");
    format!("{name}{{{labels}}} {}\n", float(value))
}

/// Exact for whole numbers up to 2^53.
fn float(value: f64) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::output::{Clock, Part, Value};

    fn subject(
        name: &str,
        tool: &'static str,
        values: &[(&'static str, Part, Value<'_>)],
    ) -> Subject {
        let tally = Arc::new(Tally::of_reports());
        tally.add_up(|series| series.add(&Clock::new(0), values.iter().copied()));
        Subject { name: name.into(), tool, tally, is_up: Arc::new(AtomicBool::new(true)) }
    }

    fn all(flavour: Flavour) -> String {
        let slots = [0, 0, 3, 0, 1];
        let count = ("count", Part::Sum, Value::Uint(4));
        let comm = ("comm", Part::Label, Value::Text(b"a\"b\\c\n\xff"));
        let histogram = ("histogram", Part::Label, Value::Histogram(&slots));
        let none = ("histogram", Part::Label, Value::Histogram(&[]));
        let subjects = [
            subject("x", "execsnoop", &[comm, count]),
            subject("f", "funclatency", &[count, ("total", Part::Sum, Value::Uint(10)), histogram]),
            subject("g", "funclatency", &[("errors", Part::Sum, Value::Uint(7)), none]),
            subject(
                "s",
                "syscount",
                &[count, ("total_ns", Part::Sum, Value::Duration(1_500_000_000))],
            ),
        ];
        text(flavour, &subjects)
    }

    #[test]
    fn has_what_was_added_up() {
        let text = all(Flavour::OpenMetrics);
        for line in [
            r#"ebtools_execsnoop_total{name="x",tool="execsnoop",comm="a\"b\\\\c\\n\\xff"} 4"#,
            r#"ebtools_funclatency_value_bucket{name="f",tool="funclatency",le="1.0"} 0"#,
            r#"ebtools_funclatency_value_bucket{name="f",tool="funclatency",le="3.0"} 3"#,
            r#"ebtools_funclatency_value_bucket{name="f",tool="funclatency",le="+Inf"} 4"#,
            r#"ebtools_funclatency_value_sum{name="f",tool="funclatency"} 10"#,
            r#"ebtools_funclatency_value_count{name="g",tool="funclatency"} 0"#,
            r#"ebtools_funclatency_errors_total{name="g",tool="funclatency"} 7"#,
            r#"ebtools_syscount_seconds_total{name="s",tool="syscount"} 1.5"#,
            r#"ebtools_tool_up{name="s",tool="syscount"} 1"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
    }

    /// Each sample is once there, in its family, whose lines stand together.
    #[test]
    fn is_what_parsers_take() {
        for flavour in [Flavour::OpenMetrics, Flavour::Prometheus] {
            let text = all(flavour);
            let (mut samples, mut families, mut family) = (BTreeSet::new(), BTreeSet::new(), "");
            for line in text.lines() {
                if let Some(rest) = line.strip_prefix("# TYPE ") {
                    family = rest.split(' ').next().unwrap();
                    assert!(families.insert(family), "{family} twice: {text}");
                } else if !line.starts_with('#') {
                    let (sample, value) = line.rsplit_once(' ').unwrap();
                    assert!(value.parse::<f64>().is_ok(), "{line}");
                    assert!(sample.starts_with(family) && samples.insert(sample), "{line}");
                }
            }
            assert_eq!(text.ends_with("\n# EOF\n"), flavour == Flavour::OpenMetrics);
        }
    }
}
