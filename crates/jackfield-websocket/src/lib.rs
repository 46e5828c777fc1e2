//! WebSocket for both sides, sans-IO: frames, messages, close rules, handshakes and permessage-deflate.
