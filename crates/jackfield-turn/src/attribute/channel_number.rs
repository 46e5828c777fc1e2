//! CHANNEL-NUMBER.

use jackfield_stun::attribute::{Attribute, AttributeType};
use jackfield_stun::{DecodeError, TransactionId};

use crate::ChannelNumber;
use crate::attribute::kind;

impl<'a> Attribute<'a> for ChannelNumber {
    const TYPE: AttributeType = kind::CHANNEL_NUMBER;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        let &[high, low, _, _] = value else {
            return Err(DecodeError::ValueLength(Self::TYPE, value.len()));
        };
        Self::new(u16::from_be_bytes([high, low])).ok_or(DecodeError::Value(Self::TYPE))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        let [high, low] = self.value().to_be_bytes();
        out.extend_from_slice(&[high, low, 0, 0]);
    }
}
