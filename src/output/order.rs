//! What rows are sorted by.

use std::cmp::Ordering;

use super::{Clock, Value};

/// The place of a row: numbers from the largest, then texts from A to Z, then what has no value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    Number(i128),
    Fraction(f64),
    Text(String),
    Nowhere,
}

impl Place {
    pub(crate) fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Place::Number(one), Place::Number(other)) => other.cmp(one),
            (Place::Fraction(one), Place::Fraction(other)) => other.total_cmp(one),
            (Place::Text(one), Place::Text(other)) => one.cmp(other),
            _ => self.kind().cmp(&other.kind()),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Place::Number(_) => 0,
            Place::Fraction(_) => 1,
            Place::Text(_) => 2,
            Place::Nowhere => 3,
        }
    }
}

/// The numbers of so many rows, in the order of what each has for a value.
pub(super) fn of<'v>(
    rows: usize,
    clock: &Clock,
    value: &mut dyn FnMut(usize) -> Value<'v>,
) -> Vec<usize> {
    let places = (0..rows).map(|number| value(number).place(clock)).collect::<Vec<_>>();
    sorted(rows, &|one, other| places[one].cmp(&places[other]))
}

/// The numbers of so many rows, sorted; those that are equal stay as they are. Sorting numbers is the
/// same code for rows of all types.
pub(crate) fn sorted(rows: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut numbers = (0..rows).collect::<Vec<_>>();
    numbers.sort_by(|&one, &other| compare(one, other));
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_comes_first() {
        let text = |text: &str| Place::Text(text.into());
        let sorted = [
            Place::Number(1 << 64),
            Place::Number((1 << 64) - 1),
            Place::Number(-1),
            Place::Fraction(f64::INFINITY),
            Place::Fraction(10.0),
            Place::Fraction(9.5),
            text("10"),
            text("a"),
            text("b"),
            Place::Nowhere,
        ];
        let mut places = sorted.clone().to_vec();
        places.reverse();
        let order = super::sorted(places.len(), &|one, other| places[one].cmp(&places[other]));
        let places = order.into_iter().map(|number| places[number].clone());
        assert_eq!(places.collect::<Vec<_>>(), sorted);
    }
}
