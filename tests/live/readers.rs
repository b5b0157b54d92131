//! What others read in the files that profile writes: samples by function.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::run::Run;

/// By name and module: samples in the function itself, and in it and what it called.
pub(crate) type Functions = BTreeMap<String, [u64; 2]>;

/// Adds a sample, whose last call is the last.
fn add(functions: &mut Functions, stack: &[String], count: u64) {
    for function in stack.iter().collect::<BTreeSet<_>>() {
        let [own, total] = functions.entry(function.clone()).or_default();
        *own += if stack.last() == Some(function) { count } else { 0 };
        *total += count;
    }
}

/// As functions of several modules are kept apart: `clock_gettime` is in libc and in the vDSO.
fn named(name: &str, module: &str) -> String {
    format!("{name} of {module}")
}

/// In the lines of JSON.
pub(crate) fn shown(run: &Run) -> Result<Functions, String> {
    let mut functions = Functions::new();
    for line in run.json()?.iter().filter(|line| line["type"] == "interval") {
        let name = line["function"].as_str().ok_or("no function")?;
        let name = named(name, line["module"].as_str().unwrap_or_default());
        let [own, total] = functions.entry(name).or_default();
        *own += line["count"].as_u64().ok_or("no count")?;
        *total += line["total"].as_u64().ok_or("no total")?;
    }
    Ok(functions)
}

/// As speedscope reads them: without the first frames, which are threads.
pub(crate) fn speedscope(path: &str) -> Result<Functions, String> {
    let text = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let file = serde_json::from_slice::<Value>(&text).map_err(|error| error.to_string())?;
    let profile = &file["profiles"][0];
    let period_ns = 1_000_000_000 / 99;
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let frames = array(&file["shared"]["frames"]);
    let name = |number: &Value| {
        let frame = number.as_u64().and_then(|number| frames.get(usize::try_from(number).ok()?));
        let text = |key: &str| frame.and_then(|frame| frame[key].as_str());
        named(text("name").unwrap_or("no name"), text("file").unwrap_or_default())
    };
    let mut functions = Functions::new();
    for (sample, weight) in array(&profile["samples"]).iter().zip(array(&profile["weights"])) {
        let stack = array(sample).iter().skip(1).map(name).collect::<Vec<_>>();
        add(&mut functions, &stack, weight.as_u64().unwrap_or(0) / period_ns);
    }
    Ok(functions)
}

/// As pprof reads them. The numbers of fields are those of its profile.proto.
pub(crate) fn pprof(path: &str) -> Result<Functions, String> {
    let file = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    // Between gzip's header and its sums.
    let packed = file.get(10..file.len() - 8).ok_or("it is too short")?;
    let bytes =
        miniz_oxide::inflate::decompress_to_vec(packed).map_err(|error| error.to_string())?;
    let profile = Message(&bytes);
    let strings = profile.all(6).map(|text| String::from_utf8_lossy(text).into_owned());
    let strings = strings.collect::<Vec<_>>();
    // The text in a field of theirs, by their numbers.
    let texts = |messages: u64, field: u64| {
        let text = |message| {
            let number = |field| Message(message).number(field);
            (number(1), strings[usize::try_from(number(field)).unwrap_or(0)].clone())
        };
        profile.all(messages).map(text).collect::<BTreeMap<_, _>>()
    };
    let (names, modules) = (texts(5, 2), texts(3, 5));
    let locations = profile.all(4).map(|location| {
        let line = Message(location).all(4).next().unwrap_or_default();
        let module = modules.get(&Message(location).number(2));
        let name = named(&names[&Message(line).number(1)], module.map_or("", String::as_str));
        (Message(location).number(1), name)
    });
    let locations = locations.collect::<BTreeMap<_, _>>();
    let mut functions = Functions::new();
    for sample in profile.all(2) {
        let packed = |field| varints(Message(sample).all(field).next().unwrap_or_default());
        let (stack, values) = (packed(1), packed(2));
        let stack = stack.iter().rev().map(|location| locations[location].clone());
        add(&mut functions, &stack.collect::<Vec<_>>(), values[0]);
    }
    Ok(functions)
}

/// A message of Protocol Buffers.
#[derive(Clone, Copy)]
struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    /// The number that the field has, or 0.
    fn number(self, field: u64) -> u64 {
        let mut values = self.fields().filter(|(one, ..)| *one == field);
        values.next().map_or(0, |(_, number, _)| number)
    }

    /// The bytes that the field has, each time.
    fn all(self, field: u64) -> impl Iterator<Item = &'a [u8]> {
        self.fields().filter(move |(one, ..)| *one == field).map(|(.., bytes)| bytes)
    }

    /// Its number, and a number or bytes.
    fn fields(self) -> impl Iterator<Item = (u64, u64, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (tag, number) = (varint(&mut rest)?, varint(&mut rest)?);
            let len = if tag & 7 == 2 { usize::try_from(number).ok()? } else { 0 };
            let (bytes, after) = rest.split_at_checked(len)?;
            rest = after;
            Some((tag >> 3, number, bytes))
        })
    }
}

fn varints(mut bytes: &[u8]) -> Vec<u64> {
    std::iter::from_fn(|| varint(&mut bytes)).collect()
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let len = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let (varint, rest) = bytes.split_at(len);
    *bytes = rest;
    Some(varint.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f)))
}
