//! Processes of the server, and how to run them as its user.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// Whether this process runs as root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").expect("/proc").uid() == 0
}

/// The program and its arguments, as the server's user where that is another one: PostgreSQL refuses to run as root.
pub fn command_line(program: &Path, args: &[&str]) -> Vec<String> {
    let runuser = ["runuser", "-u", "postgres", "--"].map(String::from);
    let prefix = if is_root() { Vec::from(runuser) } else { Vec::new() };
    prefix
        .into_iter()
        .chain([program.to_str().expect("a UTF-8 path").to_owned()])
        .chain(args.iter().map(|arg| (*arg).to_owned()))
        .collect()
}

/// Sends a signal.
pub fn signal(name: &str, processes: &[u32]) {
    let numbers: Vec<String> = processes.iter().map(u32::to_string).collect();
    // One that ended by itself in the meantime is as good as killed.
    let kill = format!("kill -{name} {} 2>/dev/null || true", numbers.join(" "));
    Command::new("sh").args(["-c", &kill]).status().expect("sh starts");
}

/// State and parent of a process; `None` when it is gone.
fn stat(process: &str) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before the last parenthesis may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Whether the process runs, stopped or not.
pub fn lives(process: u32) -> bool {
    stat(&process.to_string()).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// Whether it is stopped, if it is still there.
pub fn is_stopped(process: u32) -> bool {
    stat(&process.to_string()).is_none_or(|(state, _)| state == 'T')
}

/// The processes that this one has started.
pub fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter(|name| stat(name).is_some_and(|(_, of)| of == parent))
        .filter_map(|name| name.parse().ok())
        .collect()
}
