//! Values.

use std::borrow::Cow;

use crate::resp::parse_i64;

/// The longest string that Redis stores beside its header, as `embstr`, in bytes.
const EMBEDDED: usize = 44;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Str(Str),
}

/// A string in one of the forms that OBJECT ENCODING tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Str {
    /// A decimal number in its canonical spelling.
    Int(i64),
    /// Bytes that are replaced as a whole.
    Fixed(Box<[u8]>),
    /// Bytes that have been changed in place.
    Grown(Vec<u8>),
}

impl Value {
    /// A string, as a number where it is one.
    pub fn string(bytes: &[u8]) -> Self {
        Self::Str(Str::new(bytes))
    }

    /// The word that TYPE answers.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Str(_) => "string",
        }
    }

    /// The word that OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Str(Str::Int(_)) => "int",
            Self::Str(Str::Fixed(b)) if b.len() <= EMBEDDED => "embstr",
            Self::Str(_) => "raw",
        }
    }
}

impl Str {
    /// From bytes, as a number where they are one (object.c `tryObjectEncoding`).
    pub fn new(bytes: &[u8]) -> Self {
        match parse_i64(bytes) {
            Some(n) => Self::Int(n),
            None => Self::Fixed(bytes.into()),
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Int(n) => Cow::Owned(itoa::Buffer::new().format(*n).as_bytes().to_vec()),
            Self::Fixed(b) => Cow::Borrowed(b),
            Self::Grown(b) => Cow::Borrowed(b),
        }
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Int(n) => itoa::Buffer::new().format(*n).len(),
            Self::Fixed(b) => b.len(),
            Self::Grown(b) => b.len(),
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number it is, however it is stored.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            Self::Fixed(b) => parse_i64(b),
            Self::Grown(b) => parse_i64(b),
        }
    }

    /// The bytes, to be changed in place.
    pub fn grow(&mut self) -> &mut Vec<u8> {
        if !matches!(self, Self::Grown(_)) {
            *self = Self::Grown(match std::mem::replace(self, Self::Int(0)) {
                Self::Int(n) => itoa::Buffer::new().format(n).as_bytes().to_vec(),
                Self::Fixed(b) => b.into_vec(),
                Self::Grown(b) => b,
            });
        }
        match self {
            Self::Grown(b) => b,
            Self::Int(_) | Self::Fixed(_) => unreachable!("made so above"),
        }
    }
}
