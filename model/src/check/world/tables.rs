//! Interned contents and memoised steps: the real core is explored unchanged, at the speed of a table look-up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, RwLock};

use crate::id::mix64;

/// Contents by number, numbers by content.
pub(super) struct Interner<T> {
    inner: RwLock<Both<T>>,
}

/// Numbers by content, contents by number.
type Both<T> = (HashMap<Arc<T>, u32>, Vec<Arc<T>>);

impl<T: Eq + Hash> Interner<T> {
    pub(super) fn new() -> Self {
        Self { inner: RwLock::new((HashMap::new(), Vec::new())) }
    }

    /// The number of this content.
    pub(super) fn id(&self, content: T) -> u32 {
        if let Some(&id) = self.inner.read().expect("no panic while held").0.get(&content) {
            return id;
        }
        let mut inner = self.inner.write().expect("no panic while held");
        if let Some(&id) = inner.0.get(&content) {
            return id;
        }
        let id = inner.1.len() as u32;
        let content = Arc::new(content);
        inner.1.push(Arc::clone(&content));
        inner.0.insert(content, id);
        id
    }

    /// The content with this number.
    pub(super) fn get(&self, id: u32) -> Arc<T> {
        Arc::clone(&self.inner.read().expect("no panic while held").1[id as usize])
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.inner.read().expect("no panic while held").1.len()
    }
}

/// Answers that are computed once.
pub(super) struct Memo<K, V> {
    inner: RwLock<HashMap<K, Arc<V>, BuildHasherDefault<Mix>>>,
}

impl<K: Eq + Hash, V> Memo<K, V> {
    pub(super) fn new() -> Self {
        Self { inner: RwLock::new(HashMap::default()) }
    }

    /// The answer to `key`; `compute` may use this table too.
    pub(super) fn get(&self, key: K, compute: impl FnOnce() -> V) -> Arc<V> {
        if let Some(v) = self.inner.read().expect("no panic while held").get(&key) {
            return Arc::clone(v);
        }
        let value = Arc::new(compute());
        let mut inner = self.inner.write().expect("no panic while held");
        Arc::clone(inner.entry(key).or_insert(value))
    }
}

/// A quick hash of small keys.
#[derive(Clone, Copy, Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        mix64(self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(n.into());
    }

    fn write_u16(&mut self, n: u16) {
        self.write_u64(n.into());
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(n.into());
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as u64);
    }
}
