//! Folded lines: `comm;first call;last call 12`.

use std::collections::HashMap;

use super::Stack;
use crate::escape;
use crate::system::symbols::Symbols;

/// Stacks by their texts: those that look alike are one line. A line is made when it is written:
/// all of them together may be far larger than the stacks.
pub(super) struct Folded {
    texts: Vec<String>,
    lines: Vec<(Vec<u32>, u64)>,
}

/// What is marked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    /// The kernel's functions.
    pub(super) kernel: bool,
    /// Where they begin, after those of a program.
    pub(super) between: bool,
}

impl Folded {
    pub(super) fn new(stacks: &HashMap<Stack, u64>, symbols: &Symbols, marks: Marks) -> Self {
        let mut numbers = HashMap::<String, u32>::new();
        let mut number = |text: String| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry(text).or_insert(next)
        };
        let mut of_function = HashMap::<u32, u32>::new();
        let mut lines = HashMap::<Vec<u32>, u64>::new();
        let is_kernel = |function: &u32| symbols.function(*function).is_kernel;
        for ((comm, functions), count) in stacks {
            let mut line = vec![number(frame(comm))];
            let of_program = functions.iter().take_while(|function| !is_kernel(function)).count();
            for (at, &function) in functions.iter().enumerate() {
                if marks.between && at == of_program && at > 0 {
                    line.push(number("-".into()));
                }
                line.push(*of_function.entry(function).or_insert_with(|| {
                    let mark = if marks.kernel && is_kernel(&function) { "_[k]" } else { "" };
                    number(frame(&symbols.function(function).name) + mark)
                }));
            }
            *lines.entry(line).or_default() += count;
        }
        let mut texts = vec![String::new(); numbers.len()];
        for (text, number) in numbers {
            texts[number as usize] = text;
        }
        let mut lines = lines.into_iter().collect::<Vec<_>>();
        let text = |line: &[u32], at: usize| line.get(at).map(|&number| &texts[number as usize]);
        lines.sort_unstable_by(|(a, _), (b, _)| {
            let differs = a.iter().zip(b).take_while(|(a, b)| a == b).count();
            text(a, differs).cmp(&text(b, differs))
        });
        Self { texts, lines }
    }

    /// The lines in order, each with its samples.
    pub(super) fn lines(&self) -> impl Iterator<Item = (String, u64)> {
        self.lines.iter().map(|(line, count)| {
            let frames = line.iter().map(|&number| self.texts[number as usize].as_str());
            (format!("{} {count}", frames.collect::<Vec<_>>().join(";")), *count)
        })
    }
}

fn frame(name: &[u8]) -> String {
    escape::text(name).replace(';', ":")
}
