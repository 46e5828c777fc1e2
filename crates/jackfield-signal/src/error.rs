//! Why a message is refused.

/// The `code` of an `error` message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// Not a JSON object, or a field that the hub reads is there twice.
    Malformed,
    /// Longer than [`HubConfig::max_message_bytes`](crate::HubConfig::max_message_bytes).
    TooLarge,
    /// Nested deeper than [`HubConfig::max_depth`](crate::HubConfig::max_depth).
    TooDeep,
    /// There is no `type`.
    TypeMissing,
    /// The hub does not know this `type`.
    TypeUnknown,
    /// Only the server sends this `type`.
    TypeReserved,
    /// A field is missing or of the wrong JSON type.
    BadField,
    /// The name is empty, too long, or has invisible characters.
    BadName,
    /// The room is empty, too long, or has invisible characters.
    BadRoom,
    /// A target is needed, and it must not be the sender.
    BadTarget,
    /// The sender has no name yet.
    NameRequired,
    /// The sender is in several rooms and did not say which one is meant.
    RoomRequired,
    /// The sender is not in the room, or in no room at all.
    NotInRoom,
    /// No member there has that name.
    NoSuchUser,
    /// The room has no free place.
    RoomFull,
    /// The lobby has no free place.
    LobbyFull,
    /// The sender is in as many rooms as one can be.
    TooManyRooms,
    /// The hub has no free room or no free place.
    ServerFull,
    /// The gate did not let the sender in.
    Refused,
    /// The room is locked.
    RoomLocked,
    /// A member of the room sent the sender away, which had knocked.
    NotAdmitted,
    /// No member of the room let the sender in, which had knocked, or sent it away.
    KnockTimeout,
    /// As many newcomers wait at the room as can.
    TooManyWaiting,
    /// Too many messages in too short a time.
    RateLimited,
    /// As much of the sender's waits for the receiver as may, or for one of the receivers: that one
    /// did not get the message.
    ReceiverBusy,
}

impl ErrorCode {
    /// Every code, in the order of [`HubCounters::refused`](crate::HubCounters::refused).
    pub const ALL: [Self; 25] = [
        Self::Malformed,
        Self::TooLarge,
        Self::TooDeep,
        Self::TypeMissing,
        Self::TypeUnknown,
        Self::TypeReserved,
        Self::BadField,
        Self::BadName,
        Self::BadRoom,
        Self::BadTarget,
        Self::NameRequired,
        Self::RoomRequired,
        Self::NotInRoom,
        Self::NoSuchUser,
        Self::RoomFull,
        Self::LobbyFull,
        Self::TooManyRooms,
        Self::ServerFull,
        Self::Refused,
        Self::RoomLocked,
        Self::NotAdmitted,
        Self::KnockTimeout,
        Self::TooManyWaiting,
        Self::RateLimited,
        Self::ReceiverBusy,
    ];

    /// Returns the code as it stands on the wire and in metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::TooDeep => "too-deep",
            Self::TypeMissing => "type-missing",
            Self::TypeUnknown => "type-unknown",
            Self::TypeReserved => "type-reserved",
            Self::BadField => "bad-field",
            Self::BadName => "bad-name",
            Self::BadRoom => "bad-room",
            Self::BadTarget => "bad-target",
            Self::NameRequired => "name-required",
            Self::RoomRequired => "room-required",
            Self::NotInRoom => "not-in-room",
            Self::NoSuchUser => "no-such-user",
            Self::RoomFull => "room-full",
            Self::LobbyFull => "lobby-full",
            Self::TooManyRooms => "too-many-rooms",
            Self::ServerFull => "server-full",
            Self::Refused => "refused",
            Self::RoomLocked => "room-locked",
            Self::NotAdmitted => "not-admitted",
            Self::KnockTimeout => "knock-timeout",
            Self::TooManyWaiting => "too-many-waiting",
            Self::RateLimited => "rate-limited",
            Self::ReceiverBusy => "receiver-busy",
        }
    }

    /// Returns one sentence for the developer of a client.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Malformed => "The message must be one JSON object that has each field once.",
            Self::TooLarge => "The message is too long.",
            Self::TooDeep => "The message nests arrays or objects too deeply.",
            Self::TypeMissing => "The message needs a `type`, a string.",
            Self::TypeUnknown => "The server does not know this type.",
            Self::TypeReserved => "Only the server sends this type.",
            Self::BadField => "A field is missing or has the wrong JSON type.",
            Self::BadName => "The name is empty, too long, or has invisible characters.",
            Self::BadRoom => "The room name is empty, too long, or has invisible characters.",
            Self::BadTarget => "The message needs a `target`: the name of another member.",
            Self::NameRequired => "Send `username` first.",
            Self::RoomRequired => "You are in several rooms: say which `room` is meant.",
            Self::NotInRoom => "Join the room first.",
            Self::NoSuchUser => "No member there has that name.",
            Self::RoomFull => "The room is full.",
            Self::LobbyFull => "The lobby is full.",
            Self::TooManyRooms => "You are in as many rooms as one can be: leave one first.",
            Self::ServerFull => "The server is full: try again later.",
            Self::Refused => "You may not join this room.",
            Self::RoomLocked => "The room is locked: nobody new comes in.",
            Self::NotAdmitted => "Somebody in the room did not let you in.",
            Self::KnockTimeout => "Nobody in the room answered your knock.",
            Self::TooManyWaiting => "As many people wait at this room as can: try again later.",
            Self::RateLimited => "Too many messages in too short a time.",
            Self::ReceiverBusy => {
                "A receiver reads too slowly and did not get the message: try again later."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_at_its_own_place_and_has_its_own_word() {
        for (place, code) in ErrorCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, place);
            assert!(code.message().ends_with('.'));
        }
        let mut words: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ErrorCode::ALL.len());
    }
}
