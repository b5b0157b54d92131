//! Files that a profile is written to beside what is shown. They are made before the run: a wrong
//! name is told at once, and once it has attached, a tool may open none.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

#[cfg(feature = "svg")]
use super::flames;
use super::{Stack, pprof, speedscope};
use crate::error::{Context as _, Error, Result};
use crate::output::messages::Messages;
use crate::output::status::grouped;
use crate::system::symbols::{Function, Symbols};

/// Which files are written.
#[derive(Args, Debug)]
pub(super) struct FileOptions {
    /// Write a flame graph to this file, for a browser
    #[cfg(feature = "svg")]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["interval", "live"])]
    svg: Option<PathBuf>,

    /// Write a profile to this file for pprof: `go tool pprof FILE`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["interval", "live"])]
    pprof: Option<PathBuf>,

    /// Write a profile to this file for speedscope, which shows it in a browser
    #[arg(long, value_name = "FILE", conflicts_with_all = ["interval", "live"])]
    speedscope: Option<PathBuf>,
}

impl FileOptions {
    pub(super) fn create(&self) -> Result<Files> {
        let mut files = Files::default();
        #[cfg(feature = "svg")]
        files.add(self.svg.as_deref(), flames::draw)?;
        files.add(self.pprof.as_deref(), pprof::write)?;
        files.add(self.speedscope.as_deref(), speedscope::write)?;
        Ok(files)
    }
}

/// Functions by their numbers.
pub(super) trait Functions {
    fn function(&self, number: u32) -> &Function;
}

impl Functions for Symbols {
    fn function(&self, number: u32) -> &Function {
        self.function(number)
    }
}

/// What was sampled.
pub(super) struct Sampled<'a> {
    pub(super) stacks: &'a HashMap<Stack, u64>,
    pub(super) functions: &'a dyn Functions,
    /// A command, or some filters: text that can be shown.
    pub(super) whose: String,
    /// Samples per second per CPU.
    pub(super) hertz: u64,
    /// From the begin to the end.
    pub(super) length: Duration,
}

impl<'a> Sampled<'a> {
    pub(super) fn all(&self) -> u64 {
        self.stacks.values().sum()
    }

    /// The processor time that a sample stands for.
    pub(super) fn period_ns(&self) -> u64 {
        1_000_000_000 / self.hertz.max(1)
    }

    /// The same each time; stacks that begin alike follow each other.
    pub(super) fn in_order(&self) -> Vec<(&'a Stack, u64)> {
        let mut stacks =
            self.stacks.iter().map(|(stack, count)| (stack, *count)).collect::<Vec<_>>();
        stacks.sort_unstable();
        stacks
    }

    /// The numbers of the functions in them, in order.
    pub(super) fn functions_in_order(&self) -> Vec<u32> {
        let mut are_there = Vec::new();
        for &number in self.stacks.keys().flat_map(|(_, stack)| stack) {
            let len = are_there.len().max(number as usize + 1);
            are_there.resize(len, false);
            are_there[number as usize] = true;
        }
        (0..).zip(are_there).filter_map(|(number, is_there)| is_there.then_some(number)).collect()
    }

    /// `make: 99 Hz, 12.3 s, 1,204 samples`
    pub(super) fn title(&self) -> String {
        let Self { whose, hertz, .. } = self;
        let (seconds, all) = (self.length.as_secs_f64(), self.all());
        let plural = if all == 1 { "" } else { "s" };
        format!("{whose}: {hertz} Hz, {seconds:.1} s, {} sample{plural}", grouped(all))
    }
}

/// How one is written.
type Format = fn(&Sampled<'_>, &mut dyn Write) -> io::Result<()>;

/// All that were made.
#[derive(Default)]
pub(super) struct Files(Vec<(PathBuf, File, Format)>);

impl Files {
    fn add(&mut self, path: Option<&Path>, format: Format) -> Result<()> {
        let Some(path) = path else { return Ok(()) };
        let file = File::create(path).doing(writing(path))?;
        let id = |file: &File| {
            let known = file.metadata().ok().filter(std::fs::Metadata::is_file);
            known.map(|known| (known.dev(), known.ino()))
        };
        if id(&file).is_some_and(|it| self.0.iter().any(|(_, other, _)| id(other) == Some(it))) {
            return Err(Error::usage(writing(path), "it is another option's file too"));
        }
        self.0.push((path.into(), file, format));
        Ok(())
    }

    /// Writes each of them, whatever becomes of the others; the first failure.
    pub(super) fn write(self, messages: &Messages, sampled: &Sampled<'_>) -> Result<()> {
        let write = |(path, file, format): (PathBuf, File, Format)| {
            let mut out = BufWriter::new(file);
            let write = |_: &_| format(sampled, &mut out).and_then(|()| out.flush());
            messages.during(&writing(&path), write).doing(writing(&path))
        };
        self.0.into_iter().map(write).fold(Ok(()), Result::and)
    }
}

fn writing(path: &Path) -> String {
    format!("writing {}", path.display())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::escape;
    use crate::run::host::Host;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// What might have been sampled.
    #[derive(Debug)]
    pub(crate) struct Made {
        whose: String,
        functions: Vec<Function>,
        stacks: HashMap<Stack, u64>,
    }

    impl Functions for Vec<Function> {
        fn function(&self, number: u32) -> &Function {
            &self[number as usize]
        }
    }

    impl Made {
        /// Of names of threads and functions: `k:NAME` is the kernel's, `[NAME]` a mark.
        pub(crate) fn new(whose: &str, stacks: &[(&[u8], &[&str], u64)]) -> Self {
            let mut functions = Vec::new();
            let mut number = |name: &&str| {
                let known = functions.iter().position(|known| *known == function(name));
                known.unwrap_or_else(|| {
                    functions.push(function(name));
                    functions.len() - 1
                }) as u32
            };
            let stacks = stacks.iter().map(|(comm, stack, count)| {
                ((comm.to_vec(), stack.iter().map(&mut number).collect()), *count)
            });
            let stacks = stacks.collect();
            Self { whose: whose.into(), stacks, functions }
        }

        pub(crate) fn sampled(&self) -> Sampled<'_> {
            Sampled {
                stacks: &self.stacks,
                functions: &self.functions,
                whose: self.whose.clone(),
                hertz: 99,
                length: Duration::from_millis(12_345),
            }
        }

        /// As they are to be read: the thread; functions from the first call on, with their
        /// modules; samples.
        pub(crate) fn shown(&self) -> Shown {
            let mut shown = Shown::new();
            for ((comm, stack), count) in &self.stacks {
                let functions = stack.iter().map(|&number| &self.functions[number as usize]);
                let texts = |function: &Function| {
                    (escape::text(&function.name), escape::text(&function.module))
                };
                let stack = functions.map(texts).collect();
                *shown.entry((escape::text(comm), stack)).or_default() += count;
            }
            shown
        }
    }

    pub(crate) type Shown = BTreeMap<(String, Vec<(String, String)>), u64>;

    fn function(name: &str) -> Function {
        let (name, module) = match name.strip_prefix("k:") {
            Some(name) => (name, "[kernel]"),
            None if name.starts_with('[') => (name, ""),
            None => (name, "/bin/x"),
        };
        let is_kernel = module == "[kernel]";
        Function { name: name.as_bytes().into(), module: module.as_bytes().into(), is_kernel }
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        const HOSTILE: &[&str] =
            &["", "# ", " a", "f 12", "a;b_[k]", "</title><g>", "\"'&\\", "[x]", "-"];
        let hostile = prop::sample::select(HOSTILE).prop_map(|name| name.as_bytes().to_vec());
        prop_oneof![any::<Vec<u8>>(), any::<String>().prop_map(String::into_bytes), hostile]
    }

    prop_compose! {
        /// With any names.
        pub(crate) fn made()(
            whose in name(),
            functions in prop::collection::vec((name(), name(), any::<bool>()), 1..6),
            stacks in prop::collection::vec(
                (name(), prop::collection::vec(any::<prop::sample::Index>(), 1..30), 1..1000_u64),
                1..10,
            ),
        ) -> Made {
            let functions = functions.into_iter().map(|(name, module, is_kernel)| {
                Function { name: name.into(), module: module.into(), is_kernel }
            });
            let functions = functions.collect::<Vec<_>>();
            let stacks = stacks.into_iter().map(|(comm, stack, count)| {
                let number = |index: prop::sample::Index| index.index(functions.len()) as u32;
                ((comm, stack.into_iter().map(number).collect()), count)
            });
            Made { whose: escape::text(&whose), stacks: stacks.collect(), functions }
        }
    }

    #[test]
    fn files_are_made_at_once_and_written_whole() {
        let dir = std::env::temp_dir().join(format!("ebtools-files-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (pprof, speedscope) = (dir.join("pprof"), dir.join("speedscope"));
        let options = |pprof: &Path, speedscope: &Path| FileOptions {
            #[cfg(feature = "svg")]
            svg: None,
            pprof: Some(pprof.into()),
            speedscope: Some(speedscope.into()),
        };
        let said = |pprof: &Path, speedscope: &Path| {
            options(pprof, speedscope).create().err().map(|error| error.to_string())
        };
        assert!(said(&pprof, &dir.join("no/such")).unwrap().contains("/no/such: No such file"));
        std::os::unix::fs::symlink(&pprof, dir.join("link")).unwrap();
        assert!(said(&pprof, &dir.join("link")).unwrap().contains("another option's file"));
        assert_eq!(said(Path::new("/dev/null"), Path::new("/dev/null")), None);

        let made = Made::new("x", &[(b"sh", &["main"], 1)]);
        let files = options(Path::new("/dev/full"), &speedscope).create().unwrap();
        let said = files
            .write(&Host::standard().unwrap().messages, &made.sampled())
            .unwrap_err()
            .to_string();
        assert!(said.starts_with("writing /dev/full: No space left"), "{said}");
        let text = std::fs::read_to_string(&speedscope).unwrap();
        assert!(text.ends_with("}\n"), "the other is whole: {text}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
