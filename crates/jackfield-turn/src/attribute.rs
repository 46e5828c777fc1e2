//! TURN's attributes ([RFC 8656 §18]): one file each.
//!
//! [RFC 8656 §18]: https://www.rfc-editor.org/rfc/rfc8656#section-18

mod additional_address_family;
mod address_error_code;
mod address_family;
mod channel_number;
mod data;
mod dont_fragment;
mod even_port;
mod lifetime;
mod requested_address_family;
mod requested_transport;
mod reservation_token;
mod xor_peer_address;
mod xor_relayed_address;

pub use additional_address_family::AdditionalAddressFamily;
pub use address_error_code::AddressErrorCode;
pub use address_family::AddressFamily;
pub use data::Data;
pub use dont_fragment::DontFragment;
pub use even_port::EvenPort;
pub use lifetime::Lifetime;
pub use requested_address_family::RequestedAddressFamily;
pub use requested_transport::RequestedTransport;
pub use reservation_token::ReservationToken;
pub use xor_peer_address::XorPeerAddress;
pub use xor_relayed_address::XorRelayedAddress;

/// The types of TURN's attributes.
pub mod kind {
    use jackfield_stun::attribute::AttributeType;

    /// CHANNEL-NUMBER.
    pub const CHANNEL_NUMBER: AttributeType = AttributeType::new(0x000C);
    /// LIFETIME.
    pub const LIFETIME: AttributeType = AttributeType::new(0x000D);
    /// XOR-PEER-ADDRESS.
    pub const XOR_PEER_ADDRESS: AttributeType = AttributeType::new(0x0012);
    /// DATA.
    pub const DATA: AttributeType = AttributeType::new(0x0013);
    /// XOR-RELAYED-ADDRESS.
    pub const XOR_RELAYED_ADDRESS: AttributeType = AttributeType::new(0x0016);
    /// REQUESTED-ADDRESS-FAMILY.
    pub const REQUESTED_ADDRESS_FAMILY: AttributeType = AttributeType::new(0x0017);
    /// EVEN-PORT.
    pub const EVEN_PORT: AttributeType = AttributeType::new(0x0018);
    /// REQUESTED-TRANSPORT.
    pub const REQUESTED_TRANSPORT: AttributeType = AttributeType::new(0x0019);
    /// DONT-FRAGMENT.
    pub const DONT_FRAGMENT: AttributeType = AttributeType::new(0x001A);
    /// RESERVATION-TOKEN.
    pub const RESERVATION_TOKEN: AttributeType = AttributeType::new(0x0022);
    /// ADDITIONAL-ADDRESS-FAMILY.
    pub const ADDITIONAL_ADDRESS_FAMILY: AttributeType = AttributeType::new(0x8000);
    /// ADDRESS-ERROR-CODE.
    pub const ADDRESS_ERROR_CODE: AttributeType = AttributeType::new(0x8001);
}

/// TURN's methods ([RFC 8656 §17](https://www.rfc-editor.org/rfc/rfc8656#section-17)).
pub mod method {
    use jackfield_stun::Method;

    /// Asks for an allocation.
    pub const ALLOCATE: Method = Method::new(0x003);
    /// Prolongs or deletes one.
    pub const REFRESH: Method = Method::new(0x004);
    /// Carries data to a peer.
    pub const SEND: Method = Method::new(0x006);
    /// Carries data from a peer.
    pub const DATA: Method = Method::new(0x007);
    /// Makes or prolongs permissions.
    pub const CREATE_PERMISSION: Method = Method::new(0x008);
    /// Binds or prolongs a channel.
    pub const CHANNEL_BIND: Method = Method::new(0x009);
}
