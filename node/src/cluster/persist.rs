//! nodes.conf on disk: read once, locked for the life of the process, replaced atomically.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A nodes.conf that belongs to this process.
#[derive(Debug)]
pub(super) struct NodesConf {
    path: PathBuf,
    /// The file that is at the path now, locked.
    locked: File,
}

impl NodesConf {
    /// Opens and locks the file, and reads what it holds; it is made if it is not there.
    pub(super) fn open(path: &str) -> io::Result<(Self, Vec<u8>)> {
        let path = PathBuf::from(path);
        loop {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process uses it"));
                }
                Err(TryLockError::Error(e)) => return Err(e),
            }
            // Its owner may have replaced the file between opening and locking.
            let same =
                std::fs::metadata(&path).is_ok_and(|m| file.metadata().is_ok_and(|f| f.ino() == m.ino()));
            if same {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                return Ok((Self { path, locked: file }, bytes));
            }
        }
    }

    /// Replaces the content: a temporary file, fsync if asked, rename, fsync of the directory if asked. The new file is locked before it is seen.
    pub(super) fn replace(&mut self, text: &str, fsync: bool) -> io::Result<()> {
        let mut name = self.path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".tmp-{}", std::process::id()));
        let temporary = self.path.with_file_name(name);
        let written = self.write(&temporary, text, fsync);
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        self.locked = written?;
        Ok(())
    }

    fn write(&self, temporary: &Path, text: &str, fsync: bool) -> io::Result<File> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(temporary)?;
        file.lock()?;
        file.write_all(text.as_bytes())?;
        if fsync {
            file.sync_all()?;
        }
        std::fs::rename(temporary, &self.path)?;
        if fsync {
            let directory =
                self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(directory)?.sync_all()?;
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_also_after_it_was_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nodes.conf");
        let path = path.to_str().unwrap();
        let (mut mine, bytes) = NodesConf::open(path).unwrap();
        assert!(bytes.is_empty());
        assert_eq!(NodesConf::open(path).unwrap_err().to_string(), "another process uses it");
        mine.replace("first\n", true).unwrap();
        mine.replace("second\n", false).unwrap();
        assert_eq!(NodesConf::open(path).unwrap_err().to_string(), "another process uses it");
        drop(mine);
        assert_eq!(NodesConf::open(path).unwrap().1, b"second\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_failed_write_leaves_the_old_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nodes.conf");
        let (mut mine, _) = NodesConf::open(path.to_str().unwrap()).unwrap();
        mine.replace("old\n", true).unwrap();
        // The temporary file cannot be made where a directory stands.
        std::fs::create_dir(dir.path().join(format!("nodes.conf.tmp-{}", std::process::id()))).unwrap();
        assert!(mine.replace("new\n", true).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\n");
    }
}
