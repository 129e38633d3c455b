//! Directories of a server's own.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::is_root;

/// A path as an argument of a program.
pub fn text(path: &Path) -> String {
    path.to_str().expect("a UTF-8 path").to_owned()
}

/// A directory that was not there before, of the server's user alone.
pub fn fresh_directory(parent: &Path) -> PathBuf {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let process = std::process::id();
    let path = loop {
        let path = parent.join(format!("llm_usage-e2e-{process}-{}", MADE.fetch_add(1, Ordering::Relaxed)));
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => break path,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{}: {error}", path.display()),
        }
    };
    if is_root() {
        let chown = Command::new("chown").arg("postgres").arg(&path).status().expect("chown starts");
        assert!(chown.success(), "{} cannot be given to postgres", path.display());
    }
    path
}
