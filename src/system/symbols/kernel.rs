//! The kernel's functions, as /proc/kallsyms lists them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use super::elf::rank;
use super::names::Function;

const KALLSYMS: &str = "/proc/kallsyms";
const KERNEL: &[u8] = b"[kernel]";
/// The most symbols that are kept: a kernel has two hundred thousand.
const SYMBOLS_MAX: usize = 1 << 21;
/// The largest function: what is farther from the last one is no code that we know.
const SIZE_MAX: u64 = 1 << 20;
/// Modules and BPF programs may have come meanwhile.
const AGE: Duration = Duration::from_secs(10);

/// Functions, and what lies between them, by where they begin.
#[derive(Debug)]
pub(crate) struct Kernel {
    symbols: Vec<Symbol>,
    names: Vec<u8>,
    /// `[kernel]`, and modules like `[ext4]`.
    modules: Vec<Vec<u8>>,
    read_at: Instant,
}

#[derive(Debug)]
struct Symbol {
    address: u64,
    /// Where its name begins among the names; of what is no function there is none.
    name: Option<u32>,
    len: u16,
    module: u16,
}

impl Kernel {
    pub(crate) fn read() -> Self {
        let mut kernel = Self::new();
        if let Ok(file) = File::open(KALLSYMS) {
            kernel.add(BufReader::with_capacity(1 << 16, file));
        }
        kernel
    }

    fn new() -> Self {
        let (symbols, names, read_at) = (Vec::new(), Vec::new(), Instant::now());
        Self { symbols, names, modules: vec![KERNEL.to_vec()], read_at }
    }

    /// Reads it once more, if that was a while ago.
    pub(super) fn refresh(&mut self) -> bool {
        let is_old = self.read_at.elapsed() > AGE;
        if is_old {
            *self = Self::read();
        }
        is_old
    }

    fn add(&mut self, mut text: impl BufRead) {
        let mut line = Vec::new();
        while self.symbols.len() < SYMBOLS_MAX
            && text.read_until(b'\n', &mut line).is_ok_and(|len| len > 0)
        {
            self.add_line(line.trim_ascii_end());
            line.clear();
        }
        let mut symbols = std::mem::take(&mut self.symbols);
        symbols.sort_by(|a, b| {
            a.address.cmp(&b.address).then_with(|| self.rank(a).cmp(&self.rank(b)))
        });
        symbols.dedup_by_key(|symbol| symbol.address);
        symbols.shrink_to_fit();
        self.symbols = symbols;
    }

    /// `ffffffff81000000 T name [module]`; functions are `t`, `T`, and `w`, `W` where another may
    /// take their place. Where addresses are kept secret they are 0.
    fn add_line(&mut self, line: &[u8]) -> Option<()> {
        let mut words = line.split(u8::is_ascii_whitespace);
        let address = u64::from_str_radix(std::str::from_utf8(words.next()?).ok()?, 16).ok()?;
        let is_function = matches!(words.next()?, b"t" | b"T" | b"w" | b"W");
        let name = words.next()?;
        // Where code and data begin, on arm64.
        if address == 0 || name.starts_with(b"$") {
            return None;
        }
        let module = self.module(words.find(|word| !word.is_empty()).unwrap_or(KERNEL))?;
        let start = u32::try_from(self.names.len()).ok()?;
        let len = u16::try_from(name.len()).ok()?;
        if is_function {
            self.names.extend_from_slice(name);
        }
        self.symbols.push(Symbol { address, name: is_function.then_some(start), len, module });
        Some(())
    }

    /// The number of a module. Those of one follow each other.
    fn module(&mut self, name: &[u8]) -> Option<u16> {
        let index = self.modules.iter().rposition(|module| module == name).unwrap_or_else(|| {
            self.modules.push(name.to_vec());
            self.modules.len() - 1
        });
        u16::try_from(index).ok()
    }

    fn name(&self, symbol: &Symbol) -> Option<&[u8]> {
        let start = symbol.name? as usize;
        self.names.get(start..start + usize::from(symbol.len))
    }

    /// Of several at one address, functions come first.
    fn rank(&self, symbol: &Symbol) -> (bool, (usize, usize, Vec<u8>)) {
        (symbol.name.is_none(), rank(self.name(symbol).unwrap_or_default()))
    }

    /// What an address is in: its symbol and its name.
    fn at(&self, address: u64) -> Option<(&Symbol, &[u8])> {
        let after = self.symbols.partition_point(|symbol| symbol.address <= address);
        let symbol = self.symbols.get(after.checked_sub(1)?)?;
        let name = self.name(symbol).filter(|_| address - symbol.address < SIZE_MAX)?;
        Some((symbol, name))
    }

    /// The function that an address is in.
    pub(super) fn function_at(&self, address: u64) -> Option<Function> {
        let (symbol, name) = self.at(address)?;
        let module = self.modules.get(usize::from(symbol.module))?;
        Some(Function::of_kernel(name, module))
    }

    /// `tcp_v4_rcv+0x84`, by the function that `inside` is in.
    fn place_of(&self, address: u64, inside: u64) -> Option<Vec<u8>> {
        let (symbol, name) = self.at(inside)?;
        Some([name, format!("+{:#x}", address - symbol.address).as_bytes()].concat())
    }

    /// An address as the kernel writes it: its function, and how far in that. As a number where it is in
    /// none that is known.
    pub(crate) fn place(&mut self, address: u64) -> Vec<u8> {
        self.place_by(address, address)
    }

    /// The same of an address that a call returns to: with the call, its function may be at its end.
    pub(crate) fn call(&mut self, address: u64) -> Vec<u8> {
        self.place_by(address, address.saturating_sub(1))
    }

    fn place_by(&mut self, address: u64, inside: u64) -> Vec<u8> {
        let mut place = self.place_of(address, inside);
        if place.is_none() && self.refresh() {
            place = self.place_of(address, inside);
        }
        place.unwrap_or_else(|| format!("{address:#x}").into_bytes())
    }

    pub(super) fn without_name() -> Function {
        Function::of_kernel(KERNEL, KERNEL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_functions_and_their_modules() {
        let mut kernel = Kernel::new();
        let text = "ffffffff81000010 T __x64_read\nffffffff81000010 T read\n\
                    ffffffff81000020 d table\nffffffff81000030 W weak\n\
                    0000000000000000 T secret\nffffffffc0000000 t helper\t[ext4]\nnonsense\n";
        kernel.add(text.as_bytes());
        let found = |address| {
            let function = kernel.function_at(address)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some((text(&function.name), text(&function.module)))
        };
        let of = |name: &str, module: &str| Some((name.to_string(), module.to_string()));
        assert_eq!(found(0), None);
        assert_eq!(found(0xffff_ffff_8100_000f), None);
        assert_eq!(found(0xffff_ffff_8100_001f), of("read", "[kernel]"));
        assert_eq!(found(0xffff_ffff_8100_0025), None);
        assert_eq!(found(0xffff_ffff_8100_0035), of("weak", "[kernel]"));
        assert_eq!(found(0xffff_ffff_c000_0001), of("helper", "[ext4]"));
        assert_eq!(found(0xffff_ffff_c100_0001), None);
        assert_eq!(kernel.place(0xffff_ffff_8100_001f), b"read+0xf");
        assert_eq!(kernel.place(0xffff_ffff_8100_0025), b"0xffffffff81000025");
        assert_eq!(kernel.place(0xffff_ffff_8100_0030), b"weak+0x0");
        assert_eq!(kernel.call(0xffff_ffff_8100_0020), b"read+0x10");
        assert_eq!(kernel.call(0), b"0x0");
    }
}
