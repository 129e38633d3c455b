//! A process that outlives the tests by a moment and cleans up behind them, also when they are killed.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Dropping it stops the server, removes its files, and waits until both are done.
pub struct Guard {
    process: Child,
}

impl Guard {
    /// `stop` is the command that stops the server of `directory`.
    pub fn new(directory: &Path, socket: &Path, stop: &[String]) -> Self {
        let process = Command::new("sh")
            .args(["-c", include_str!("guard.sh"), "llm_usage e2e guard"])
            .args([directory, socket])
            .args(stop)
            .current_dir("/")
            // The pipe closes when the last of this process is gone. A group of its own: Ctrl-C is not for the guard.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("the guard starts");
        Self { process }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Nobody could act on a failure here.
        self.process.wait().ok();
    }
}
