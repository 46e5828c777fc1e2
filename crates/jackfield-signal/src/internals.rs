//! What the fuzz harness sees of the inside.

use crate::envelope::Envelope;
use crate::write::quoted;

/// Returns a message with its fields set as the hub sets those of what it passes on: the type
/// `message` if it has none, `name`, the room `r`, and the id 7 if it has one. `None` if it is
/// no message, or nested more than 64 deep.
#[must_use]
pub fn edited(text: &str, name: &str) -> Option<String> {
    let envelope = Envelope::parse(text, 64).ok()?;
    let fields = &envelope.fields;
    let edit = envelope
        .edit()
        .kind_first("message", fields.kind)
        .set("name", fields.name, &quoted(name))
        .set("room", fields.room, "\"r\"")
        .replace(fields.id, "7");
    Some(edit.finish())
}

/// Returns whether a text is a message, however deep.
#[must_use]
pub fn is_envelope(text: &str) -> bool {
    Envelope::parse(text, usize::MAX).is_ok()
}
