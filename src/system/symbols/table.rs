//! Functions by where they are, without their names: those stay in the file until one is asked for.

/// A function. Chromium has a million of them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Symbol {
    pub(super) address: u64,
    /// 0 where the file does not tell it.
    pub(super) size: u32,
    /// Where its name is among the names.
    pub(super) name: u32,
}

/// The most functions that are kept.
const FUNCTIONS_MAX: usize = 1 << 21;
/// So many before an address are looked at: a function may be inside another, and have many names.
const NEAR: usize = 64;

/// Functions in the order of their addresses.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Symbol>);

impl Table {
    /// Of symbols in any order. One without a size reaches to the next.
    pub(super) fn new(mut symbols: Vec<Symbol>) -> Self {
        symbols.sort_unstable();
        symbols.dedup();
        symbols.truncate(FUNCTIONS_MAX);
        symbols.shrink_to_fit();
        let mut next = u64::MAX;
        for i in (0..symbols.len()).rev() {
            let Symbol { address, size, .. } = symbols[i];
            if let Some(after) = symbols.get(i + 1).filter(|after| after.address > address) {
                next = after.address;
            }
            if size == 0 {
                symbols[i].size = u32::try_from(next - address).unwrap_or(u32::MAX);
            }
        }
        Self(symbols)
    }

    /// The innermost function that an address is in: all symbols of it.
    pub(super) fn at(&self, address: u64) -> Vec<Symbol> {
        let after = self.0.partition_point(|symbol| symbol.address <= address);
        let near = self.0[after.saturating_sub(NEAR)..after].iter().rev();
        let within = near.filter(|symbol| address - symbol.address < symbol.size.into());
        let within = within.copied().collect::<Vec<_>>();
        let is_innermost = |symbol: &Symbol| symbol.address == within[0].address;
        within.iter().copied().take_while(is_innermost).collect()
    }

    /// The memory that it takes.
    pub(super) fn memory(&self) -> usize {
        self.0.capacity() * size_of::<Symbol>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn symbol(address: u64, size: u32, name: u32) -> Symbol {
        Symbol { address, size, name }
    }

    fn names(table: &Table, address: u64) -> Vec<u32> {
        let mut names = table.at(address).iter().map(|symbol| symbol.name).collect::<Vec<_>>();
        names.sort_unstable();
        names
    }

    #[test]
    fn an_address_beyond_a_function_is_not_in_it() {
        let table = Table::new(vec![symbol(0x20, 0, 3), symbol(0x10, 4, 1), symbol(0x10, 8, 2)]);
        assert!(names(&table, 0xf).is_empty());
        assert_eq!(names(&table, 0x13), [1, 2]);
        assert_eq!(names(&table, 0x14), [2]);
        assert!(names(&table, 0x18).is_empty());
        // Without a size, and the last.
        assert_eq!(names(&table, 0x20), [3]);
        assert_eq!(names(&table, 0x1000), [3]);
    }

    #[test]
    fn one_without_a_size_ends_at_the_next() {
        let table = Table::new(vec![symbol(0x10, 0, 1), symbol(0x10, 0, 2), symbol(0x20, 4, 3)]);
        assert_eq!(names(&table, 0x1f), [1, 2]);
        assert!(names(&table, 0x24).is_empty());
    }

    #[test]
    fn the_inner_function_is_meant() {
        let table = Table::new(vec![symbol(0x10, 0x100, 1), symbol(0x20, 4, 2)]);
        assert_eq!(names(&table, 0x20), [2]);
        assert_eq!(names(&table, 0x24), [1]);
    }

    proptest! {
        #[test]
        fn finds_what_is_around(
            symbols in prop::collection::vec((0..1000_u64, 1..50_u32, any::<u32>()), 0..50),
            address in 0..1100_u64,
        ) {
            let around = |&(at, size, _): &(u64, u32, u32)| {
                at <= address && address < at + u64::from(size)
            };
            let innermost = symbols.iter().copied().filter(around).map(|(at, ..)| at).max();
            let table = Table::new(symbols.into_iter().map(|(a, s, n)| symbol(a, s, n)).collect());
            let found = table.at(address);
            prop_assert_eq!(found.first().map(|symbol| symbol.address), innermost);
        }
    }
}
