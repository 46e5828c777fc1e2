//! The pictures in the documentation are what the virtual internet does today.

#[expect(dead_code, reason = "its main writes the files that this compares")]
#[path = "../examples/nat_types.rs"]
mod nat_types;

use std::path::Path;

#[test]
fn the_pictures_in_the_documentation_are_what_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/nat");
    for (name, svg) in nat_types::pictures().expect("every scene plays") {
        let path = folder.join(name).with_extension("svg");
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == svg,
            "docs/nat/{name}.svg is out of date: cargo run -p jackfield-nat --example nat_types -- docs/nat"
        );
    }
}
