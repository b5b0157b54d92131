//! Profiles for speedscope: its own format, which is JSON.

use std::io::{self, Write};

use super::Stack;
use super::files::Sampled;
use crate::escape;

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

/// One profile of all threads, in the order of their stacks: the names of threads are the first
/// frames, below which each can be looked at alone.
pub(super) fn write(sampled: &Sampled<'_>, out: &mut dyn Write) -> io::Result<()> {
    let title = quoted(&sampled.title());
    write!(out, r#"{{"$schema":"{SCHEMA}","exporter":"ebtools","name":{title},"profiles":[{{"#)?;
    write!(out, r#""type":"sampled","name":{title},"unit":"nanoseconds","startValue":0"#)?;
    write!(
        out,
        r#","endValue":{},"weights":["#,
        sampled.all().saturating_mul(sampled.period_ns())
    )?;
    let stacks = sampled.in_order();
    for (i, (_, count)) in stacks.iter().enumerate() {
        write!(out, "{}{}", comma(i), count.saturating_mul(sampled.period_ns()))?;
    }
    out.write_all(br#"],"samples":["#)?;
    let frames = write_samples(sampled, &stacks, out)?;
    out.write_all(br#"]}],"shared":{"frames":["#)?;
    for (i, frame) in frames.iter().enumerate() {
        write!(out, "{}{{{frame}}}", comma(i))?;
    }
    out.write_all(b"]}}\n")
}

/// The numbers of their frames, the first call first; the frames.
fn write_samples(
    sampled: &Sampled<'_>,
    stacks: &[(&Stack, u64)],
    out: &mut dyn Write,
) -> io::Result<Vec<String>> {
    let functions = sampled.functions_in_order();
    let frames = functions.iter().map(|&number| {
        let function = sampled.functions.function(number);
        let name = format!("\"name\":{}", shown(&function.name));
        let file = format!(",\"file\":{}", shown(&function.module));
        name + if function.module.is_empty() { "" } else { &file }
    });
    let mut frames = frames.collect::<Vec<_>>();
    let mut last = None;
    for (i, ((comm, stack), _)) in stacks.iter().enumerate() {
        if last != Some(comm) {
            last = Some(comm);
            frames.push(format!("\"name\":{}", shown(comm)));
        }
        write!(out, "{}[{}", comma(i), frames.len() - 1)?;
        for number in stack {
            write!(out, ",{}", functions.binary_search(number).unwrap_or_default())?;
        }
        out.write_all(b"]")?;
    }
    Ok(frames)
}

fn comma(i: usize) -> &'static str {
    if i > 0 { "," } else { "" }
}

fn shown(bytes: &[u8]) -> String {
    quoted(&escape::text(bytes))
}

/// Of text that can be shown: there is nothing else in it that JSON escapes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::profile::files::tests::{Made, Shown, made};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn written(made: &Made) -> Value {
        let mut out = Vec::new();
        write(&made.sampled(), &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    /// What a reader makes of it.
    fn read(file: &Value) -> Shown {
        let profile = &file["profiles"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let frames = file["shared"]["frames"].as_array().unwrap().iter();
        let frames = frames.map(|frame| (text(&frame["name"]), text(&frame["file"])));
        let frames = frames.collect::<Vec<_>>();
        let (samples, weights) = (profile["samples"].as_array(), profile["weights"].as_array());
        let samples = samples.unwrap().iter().zip(weights.unwrap()).map(|(sample, weight)| {
            let numbers = sample.as_array().unwrap().iter();
            let all = numbers.map(|number| frames[number.as_u64().unwrap() as usize].clone());
            let mut all = all.collect::<Vec<_>>();
            let (comm, _) = all.remove(0);
            ((comm, all), weight.as_u64().unwrap() / (1_000_000_000 / 99))
        });
        samples.collect()
    }

    #[test]
    fn is_as_the_schema_says() {
        let made = Made::new("make", &[(b"sh", &["k:read", "main", "main"], 2)]);
        assert_eq!(
            written(&made),
            json!({
                "$schema": SCHEMA, "exporter": "ebtools", "name": "make: 99 Hz, 12.3 s, 2 samples",
                "shared": {"frames": [
                    {"name": "read", "file": "[kernel]"}, {"name": "main", "file": "/bin/x"},
                    {"name": "sh"},
                ]},
                "profiles": [{
                    "type": "sampled", "name": "make: 99 Hz, 12.3 s, 2 samples",
                    "unit": "nanoseconds", "startValue": 0, "endValue": 20_202_020,
                    "samples": [[2, 0, 1, 1]], "weights": [20_202_020],
                }],
            })
        );
        assert!(read(&written(&Made::new("x", &[]))).is_empty());
    }

    proptest! {
        #[test]
        fn comes_back_whatever_the_names_are(made in made()) {
            prop_assert_eq!(read(&written(&made)), made.shown());
        }
    }
}
