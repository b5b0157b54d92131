//! Messages of Protocol Buffers, as far as pprof's profiles are made of them.

/// How a value is encoded.
const VARINT: u32 = 0;
const LEN: u32 = 2;

/// A message in the making.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        varint(&mut self.0, value);
    }

    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.tag(field, LEN);
        varint(&mut self.0, value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub(super) fn message(&mut self, field: u32, value: &Self) {
        self.bytes(field, &value.0);
    }

    /// Several numbers in one value.
    pub(super) fn packed(&mut self, field: u32, values: impl IntoIterator<Item = u64>) {
        let mut packed = Vec::new();
        values.into_iter().for_each(|value| varint(&mut packed, value));
        self.bytes(field, &packed);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn tag(&mut self, field: u32, encoding: u32) {
        varint(&mut self.0, (field << 3 | encoding).into());
    }
}

/// A message of these numbers.
pub(super) fn numbers<const N: usize>(fields: [(u32, u64); N]) -> Message {
    let mut message = Message::default();
    fields.into_iter().for_each(|(field, value)| message.number(field, value));
    message
}

/// Seven bits a byte, the lowest first; the highest bit says that there are more.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A value as it is read.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) enum Read {
        Number(u64),
        Bytes(Vec<u8>),
    }

    impl Read {
        pub(crate) fn number(&self) -> u64 {
            let Self::Number(number) = self else { panic!("not a number: {self:?}") };
            *number
        }

        pub(crate) fn bytes(&self) -> &[u8] {
            let Self::Bytes(bytes) = self else { panic!("not bytes: {self:?}") };
            bytes
        }
    }

    pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u32, Read)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = take_varint(&mut bytes);
            let value = match tag as u32 & 7 {
                VARINT => Read::Number(take_varint(&mut bytes)),
                LEN => {
                    let len = take_varint(&mut bytes) as usize;
                    let (value, rest) = bytes.split_at(len);
                    bytes = rest;
                    Read::Bytes(value.to_vec())
                }
                other => panic!("encoding {other}"),
            };
            fields.push(((tag >> 3) as u32, value));
        }
        fields
    }

    pub(crate) fn packed(mut bytes: &[u8]) -> Vec<u64> {
        let mut numbers = Vec::new();
        while !bytes.is_empty() {
            numbers.push(take_varint(&mut bytes));
        }
        numbers
    }

    fn take_varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
        }
        panic!("a number without an end");
    }

    #[test]
    fn is_as_the_documentation_of_the_encoding_has_it() {
        let mut inner = numbers([(1, 150)]);
        assert_eq!(inner.0, [0x08, 0x96, 0x01]);
        inner.bytes(2, b"testing");
        assert_eq!(inner.0[3..], *b"\x12\x07testing");
        let mut outer = Message::default();
        outer.message(3, &numbers([(1, 150)]));
        outer.packed(6, [3, 270, 86942]);
        let expected = b"\x1a\x03\x08\x96\x01\x32\x06\x03\x8e\x02\x9e\xa7\x05";
        assert_eq!(outer.into_bytes(), expected);
    }

    proptest! {
        #[test]
        fn comes_back(
            number: u64,
            bytes: Vec<u8>,
            several: Vec<u64>,
            field in 1..(1_u32 << 29),
        ) {
            let mut message = numbers([(field, number)]);
            message.bytes(field, &bytes);
            message.packed(field, several.clone());
            let read = fields(&message.into_bytes());
            prop_assert_eq!(&read[0], &(field, Read::Number(number)));
            prop_assert_eq!(&read[1], &(field, Read::Bytes(bytes)));
            prop_assert_eq!(packed(read[2].1.bytes()), several);
            prop_assert_eq!(read.len(), 3);
        }
    }
}
