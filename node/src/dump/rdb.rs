//! A whole RDB file, version 10, as redis-server 7.0 writes and reads it (rdb.c `rdbSaveRio`): a header, fields about the file,
//! each database with its keys, an end and a checksum.
//!
//! It is written piece by piece: what is ready is taken out with [`RdbFile::take`], and what was taken is remembered only by its
//! checksum. Keys of several databases may come in any order; each time the database changes, the file says so.

use super::{RDB_VERSION, crc64, write::Output};
use crate::keyspace::{Packing, UseNote, Value};

const IDLE: u8 = 248;
const FREQUENCY: u8 = 249;
const AUX: u8 = 250;
const RESIZE_DB: u8 = 251;
const EXPIRY_MS: u8 = 252;
const SELECT_DB: u8 = 254;
const END: u8 = 255;

/// A file that is being written.
#[derive(Debug)]
pub struct RdbFile {
    bytes: Vec<u8>,
    compress: bool,
    packing: Packing,
    /// The checksum of what was taken out; none if the file is to have a zero there (`rdbchecksum no`).
    crc: Option<u64>,
    /// The database that the next key belongs to.
    db: Option<usize>,
}

impl RdbFile {
    /// The beginning of a file; `compress` is `rdbcompression`, `checksum` is `rdbchecksum`.
    pub fn new(compress: bool, checksum: bool, packing: Packing) -> Self {
        let bytes = format!("REDIS{RDB_VERSION:04}").into_bytes();
        Self { bytes, compress, packing, crc: checksum.then_some(0), db: None }
    }

    fn write(&mut self, key: Option<&[u8]>, f: impl FnOnce(&mut Output<'_>)) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut output =
            Output { bytes, compress: self.compress, packing: &self.packing, key, folded: usize::MAX };
        f(&mut output);
        self.bytes = output.bytes;
    }

    /// A field about the file.
    pub fn field(&mut self, name: &str, value: &[u8]) {
        self.write(None, |out| {
            out.bytes.push(AUX);
            out.string(name.as_bytes());
            out.string(value);
        });
    }

    /// How many keys a database has, and how many of them have an expiry: who reads the file makes room at once.
    pub fn sizes(&mut self, db: usize, keys: usize, expires: usize) {
        self.select(db);
        self.write(None, |out| {
            out.bytes.push(RESIZE_DB);
            out.len(keys);
            out.len(expires);
        });
    }

    fn select(&mut self, db: usize) {
        if self.db != Some(db) {
            self.db = Some(db);
            self.write(None, |out| {
                out.bytes.push(SELECT_DB);
                out.len(db);
            });
        }
    }

    /// A key of a database with its value, its expiry (Unix time in milliseconds) and what is known of its use.
    pub fn key(&mut self, db: usize, key: &[u8], value: &Value, expiry: Option<i64>, used: Option<UseNote>) {
        self.select(db);
        self.write(Some(key), |out| {
            if let Some(when) = expiry {
                out.bytes.push(EXPIRY_MS);
                out.bytes.extend_from_slice(&when.to_le_bytes());
            }
            match used {
                Some(UseNote::IdleSeconds(seconds)) => {
                    out.bytes.push(IDLE);
                    out.len(seconds as usize);
                }
                Some(UseNote::Frequency(count)) => out.bytes.extend([FREQUENCY, count]),
                None => {}
            }
            out.value(value);
        });
    }

    /// The end of the file.
    pub fn finish(&mut self) {
        self.bytes.push(END);
        let crc = self.crc.map_or(0, |crc| crc64(crc, &self.bytes));
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        self.crc = None;
    }

    /// How many bytes are ready.
    pub fn ready(&self) -> usize {
        self.bytes.len()
    }

    /// Takes out what is ready.
    pub fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.bytes);
        self.crc = self.crc.map(|crc| crc64(crc, &bytes));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_byte_by_byte() {
        let file = |take_often: bool, checksum: bool| {
            let mut file = RdbFile::new(true, checksum, Packing::default());
            let mut all = Vec::new();
            let step = |file: &mut RdbFile, all: &mut Vec<u8>| {
                if take_often {
                    all.extend(file.take());
                }
            };
            file.field("redis-bits", b"64");
            step(&mut file, &mut all);
            file.sizes(0, 1, 1);
            file.key(0, b"k", &Value::string(b"v"), Some(258), None);
            step(&mut file, &mut all);
            file.key(3, b"key", &Value::string(b"7"), None, Some(UseNote::Frequency(9)));
            file.key(3, b"12", &Value::string(b""), None, Some(UseNote::IdleSeconds(70)));
            file.finish();
            all.extend(file.take());
            all
        };
        let body =
            b"REDIS0010\xfa\x0aredis-bits\xc0\x40\xfe\0\xfb\x01\x01\xfc\x02\x01\0\0\0\0\0\0\0\x01k\x01v\
            \xfe\x03\xf9\x09\0\x03key\xc0\x07\xf8\x40\x46\0\xc0\x0c\0\xff";
        let whole = [&body[..], &crc64(0, body).to_le_bytes()].concat();
        assert_eq!(file(false, true), whole);
        assert_eq!(file(true, true), whole, "in pieces");
        assert_eq!(file(true, false), [&body[..], &[0; 8]].concat(), "without a checksum");
    }
}
