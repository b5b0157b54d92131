//! What values are in JSON, in the words of JSON Schema.

/// What a kind of value is in JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    /// The type; empty where there is no value.
    pub(crate) name: &'static str,
    /// What else holds for it: entries of an object of JSON Schema.
    pub(crate) also: &'static str,
    /// Keys that may stand beside its own.
    pub(crate) beside: &'static [Beside],
}

/// A key that tells more of the value beside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Beside {
    /// What it has behind the other's name.
    pub(crate) suffix: &'static str,
    /// Its own shape: entries of an object of JSON Schema.
    pub(crate) schema: &'static str,
    /// What it means.
    pub(crate) about: &'static str,
}

impl Shape {
    pub(crate) const NOTHING: Self = Self::of("");
    pub(crate) const NULL: Self = Self::of("null");
    pub(crate) const BOOLEAN: Self = Self::of("boolean");
    pub(crate) const NUMBER: Self = Self::of("number");
    pub(crate) const INTEGER: Self = Self::of("integer");
    pub(crate) const UNSIGNED: Self = Self { also: r#""minimum":0"#, ..Self::INTEGER };
    /// Text that is always UTF-8.
    pub(crate) const STRING: Self = Self::of("string");
    /// Text that may be any bytes.
    pub(crate) const BYTES: Self = Self { beside: &[Beside::BASE64], ..Self::STRING };
    pub(crate) const TIME: Self = Self { also: r#""format":"date-time""#, ..Self::STRING };
    pub(crate) const STRINGS: Self =
        Self { also: r#""items":{"type":"string"}"#, ..Self::of("array") };

    pub(crate) const COUNTS: Self = Self {
        also: r#""additionalProperties":{"type":"integer","minimum":0}"#,
        ..Self::of("object")
    };

    const fn of(name: &'static str) -> Self {
        Self { name, also: "", beside: &[] }
    }
}

impl Beside {
    pub(crate) const BASE64: Self = Self {
        suffix: "_base64",
        schema: r#""type":"string""#,
        about: "the exact bytes, where they are no UTF-8",
    };
    pub(crate) const TRUNCATED: Self =
        Self { suffix: "_truncated", schema: r#""const":true"#, about: "there was more" };
}
