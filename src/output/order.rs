//! What rows are sorted by.

use std::cmp::Ordering;

/// The place of a row: numbers from the largest, then texts from A to Z, then what has no value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    Number(f64),
    Text(String),
    Nowhere,
}

impl Place {
    pub(crate) fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Place::Number(one), Place::Number(other)) => other.total_cmp(one),
            (Place::Text(one), Place::Text(other)) => one.cmp(other),
            _ => self.kind().cmp(&other.kind()),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Place::Number(_) => 0,
            Place::Text(_) => 1,
            Place::Nowhere => 2,
        }
    }
}

/// The numbers of these places, in order.
pub(crate) fn sorted(places: &[Place]) -> Vec<usize> {
    let mut numbers = (0..places.len()).collect::<Vec<_>>();
    numbers.sort_by(|&one, &other| places[one].cmp(&places[other]));
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_comes_first() {
        let text = |text: &str| Place::Text(text.into());
        let sorted = [
            Place::Number(f64::INFINITY),
            Place::Number(10.0),
            Place::Number(9.5),
            Place::Number(-1.0),
            text("10"),
            text("a"),
            text("b"),
            Place::Nowhere,
        ];
        let mut places = sorted.clone().to_vec();
        places.reverse();
        let places = super::sorted(&places).into_iter().map(|number| places[number].clone());
        assert_eq!(places.collect::<Vec<_>>(), sorted);
    }
}
