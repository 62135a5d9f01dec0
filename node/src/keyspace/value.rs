//! Values.

use std::borrow::Cow;

use super::hash::Hash;
use super::list::List;
use super::set::Set;
use super::zset::Zset;
use crate::resp::parse_i64;

/// The longest string that Redis stores beside its header, as `embstr`, in bytes.
const EMBEDDED: usize = 44;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Str(Str),
    /// Fields with values.
    Hash(Box<Hash>),
    /// Elements in order.
    List(Box<List>),
    /// Members without order.
    Set(Box<Set>),
    /// Members with scores.
    Zset(Box<Zset>),
}

/// Up to where collections keep their compact forms, and how long the nodes of a dumped list may be.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// Fields of a hash (`hash-max-listpack-entries`).
    pub hash_entries: usize,
    /// The length of a hash's fields and values in bytes (`hash-max-listpack-value`).
    pub hash_value: usize,
    /// Members of a set of numbers (`set-max-intset-entries`).
    pub set_ints: usize,
    /// Members of a sorted set (`zset-max-listpack-entries`).
    pub zset_entries: usize,
    /// The length of a sorted set's members in bytes (`zset-max-listpack-value`).
    pub zset_value: usize,
    /// Elements of a node of a list, or a size class if negative (`list-max-listpack-size`).
    pub list_size: i64,
}

/// As in Redis 7.0.
impl Default for Packing {
    fn default() -> Self {
        Self {
            hash_entries: 512,
            hash_value: 64,
            set_ints: 512,
            zset_entries: 128,
            zset_value: 64,
            list_size: -2,
        }
    }
}

/// A key holds a value of another type than the command wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType;

/// A type of values, for commands that want just that.
pub trait Typed: Default {
    /// The value, if it is of this type.
    fn of(value: &Value) -> Option<&Self>;
    /// The value to be changed, if it is of this type.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// As a value.
    fn into_value(self) -> Value;
}

/// A value that was found should be of type `T`.
pub fn typed<T: Typed>(found: Option<&Value>) -> Result<Option<&T>, WrongType> {
    found.map(|value| T::of(value).ok_or(WrongType)).transpose()
}

macro_rules! typed {
    ($type:ident, $value:pat => $inner:expr, $make:expr) => {
        impl Typed for $type {
            fn of(value: &Value) -> Option<&Self> {
                if let $value = value { Some($inner) } else { None }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let $value = value { Some($inner) } else { None }
            }

            fn into_value(self) -> Value {
                $make(self)
            }
        }
    };
}

typed!(Str, Value::Str(v) => v, Value::Str);
typed!(Hash, Value::Hash(v) => v, |v| Value::Hash(Box::new(v)));
typed!(List, Value::List(v) => v, |v| Value::List(Box::new(v)));
typed!(Set, Value::Set(v) => v, |v| Value::Set(Box::new(v)));
typed!(Zset, Value::Zset(v) => v, |v| Value::Zset(Box::new(v)));

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

    /// Of how many pieces it is, which are freed one by one.
    pub(super) fn pieces(&self) -> usize {
        match self {
            Self::Hash(hash) if !hash.is_packed() => hash.len(),
            Self::Zset(zset) if !zset.is_packed() => zset.len(),
            Self::List(list) => list.pieces(),
            Self::Set(set) if !matches!(**set, Set::Ints(..)) => set.len(),
            _ => 1,
        }
    }

    /// The word that TYPE answers.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Str(_) => "string",
            Self::Hash(_) => "hash",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Zset(_) => "zset",
        }
    }

    /// The word that OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Str(Str::Int(_)) => "int",
            Self::Str(Str::Fixed(b)) if b.len() <= EMBEDDED => "embstr",
            Self::Str(_) => "raw",
            Self::Hash(h) if h.is_packed() => "listpack",
            Self::Hash(_) => "hashtable",
            Self::List(_) => "quicklist",
            Self::Set(s) if matches!(**s, Set::Ints(..)) => "intset",
            Self::Set(_) => "hashtable",
            Self::Zset(z) if z.is_packed() => "listpack",
            Self::Zset(_) => "skiplist",
        }
    }
}

impl Default for Str {
    fn default() -> Self {
        Self::Fixed(Box::default())
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
