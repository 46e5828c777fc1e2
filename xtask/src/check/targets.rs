//! Other targets: the cores need no operating system, and the binary is one static file.
//!
//! Their standard libraries come from where Rust came from, which not every machine can reach. A
//! target that cannot be had is passed over, loudly; the architecture test then stands for the
//! first, the types of `jackfield-driver`'s `control_message.rs` for the second.

use super::metadata::Metadata;
use crate::command::{Run, cargo};
use crate::log::Log;
use crate::need::Need;

/// Returns a line for each target that does not compile.
pub(super) fn faults(metadata: &Metadata) -> Vec<String> {
    let mut faults = Vec::new();
    if is_there(WASM) {
        let mut command = vec!["check", "--quiet", "--locked", "--target", WASM];
        // A core is a crate whose lints forbid clocks and sockets.
        let cores = metadata
            .members()
            .filter(|package| package.manifest_path.with_file_name("clippy.toml").exists())
            .filter(|package| package.name != NEEDS_RANDOMNESS);
        for core in cores {
            command.extend(["--package", &core.name]);
        }
        faults.extend(cargo(&command).run(&Log::Terminal).err());
    }
    if is_there(MUSL) && has_musl_compiler() {
        let command = [
            "check",
            "--quiet",
            "--locked",
            "--package",
            "jackfield",
            "--target",
            MUSL,
        ];
        faults.extend(cargo(&command).run(&Log::Terminal).err());
    }
    faults
}

/// Installs a target's standard library unless it is there; says so when that fails.
fn is_there(target: &str) -> bool {
    let there = Run::new("rustup")
        .args(["target", "add", target])
        .succeeds();
    if !there {
        eprintln!("xtask: SKIPPED {target}: `rustup target add {target}` failed");
    }
    there
}

/// Installs what compiles ring's C code for musl unless it is there; says so when that fails.
fn has_musl_compiler() -> bool {
    let compiler = Need::Program("musl-gcc", "musl-tools").meet();
    if let Err(why) = &compiler {
        eprintln!("xtask: SKIPPED {MUSL}: {why}");
    }
    compiler.is_ok()
}

/// The core whose libraries ask a system for randomness, which this target does not have.
const NEEDS_RANDOMNESS: &str = "jackfield-peer";
const WASM: &str = "wasm32-unknown-unknown";
const MUSL: &str = "x86_64-unknown-linux-musl";
