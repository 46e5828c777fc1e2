//! The Jackfield server and its tools in one binary.

fn main() {}
