//! WebRTC signaling without I/O: rooms, names, and the routing of offers, answers and candidates.
//!
//! A [`Hub`] takes connections and messages, and says which messages go to which member. It has no
//! socket, no task, no clock and no global randomness: the driver brings `now` and a seed, and
//! drains [`Hub::poll_output`] after every input.
//!
//! ```
//! use std::time::Instant;
//! use jackfield_signal::{HubConfig, Hub, NewMember, NoIceServers, Output};
//!
//! let now = Instant::now();
//! let mut hub = Hub::new(HubConfig::default(), Box::new(NoIceServers), [7; 32]);
//! let ann = hub.handle_connect(now, NewMember::default());
//! let bob = hub.handle_connect(now, NewMember::default());
//! hub.handle_message(now, ann, r#"{"type":"join","room":"demo","name":"ann"}"#);
//! hub.handle_message(now, bob, r#"{"type":"join","room":"demo","name":"bob"}"#);
//! hub.handle_message(now, ann, r#"{"type":"video-offer","target":"bob","sdp":{"type":"offer","sdp":"v=0"}}"#);
//!
//! let mut last = None;
//! while let Output::Send { to, json, .. } = hub.poll_output() {
//!     last = Some((to, json));
//! }
//! let (to, json) = last.expect("the offer was passed on");
//! assert_eq!(to, bob);
//! assert_eq!(
//!     &*json,
//!     r#"{"type":"video-offer","target":"bob","sdp":{"type":"offer","sdp":"v=0"},"name":"ann","room":"demo","id":ANN}"#
//!         .replace("ANN", &ann.to_string())
//! );
//! ```
//!
//! # The vocabulary
//!
//! One vocabulary on every transport. Over WebSocket a message is a JSON object with a `type`; over
//! Socket.IO the type is the event's name and the object its one argument, and an acknowledgement,
//! where one is asked for, carries the answer: the same object that would have been sent,
//! `{"type":"ok","re":TYPE}` where nothing would, or an `error`.
//!
//! | type | from | fields |
//! |---|---|---|
//! | `id` | server | `id`, a number: sent first |
//! | `join` | client | `room`, `name?`, `token?` (for the [`Gate`]; without one it is ignored), `session?` |
//! | `joined` | server | `room`, `self` (`name`, `id`), `users` (the others: `name`, `id`, `polite`), `access?`, `waiting?`, `iceServers`, `ttl` in seconds (0: for ever), `session?` |
//! | `waiting` | server | `room`, `timeout` in seconds: the room has newcomers knock; `joined` follows, or an `error` with `re` `join` and the `room` |
//! | `access` | both | `access` (`open`, `knock`, `locked`), `room?`; all members get it, with the `user` who said so |
//! | `knock` | server | `room`, `user` (`name`, `id`): somebody waits to be let in |
//! | `knock-ended` | server | `room`, `user`: and no longer does, for whatever reason |
//! | `admit`, `refuse` | client | `target`, the `id` of one who waits; `room?` |
//! | `user-joined` | server | `room`, `user` (`name`, `id`, `polite`) |
//! | `user-left` | server | `room`, `user` (`name`, `id`); the member that leaves gets it, too |
//! | `leave` | client | `room?`, needed if the sender is in several |
//! | `user-renamed` | server | `room`, `user` (its new `name`, `id`) |
//! | `username` | client | `name`: in the rooms the sender is in, or else in the lobby, which it enters by this |
//! | `rejectusername` | server | `id`, `room?`, `name`: the name was taken, this is the one given |
//! | `userlist` | both | asked for with `room?`; answered with `room`, `users`, `access?` and `waiting?` as in `joined`: all who are there |
//! | `message` | both | `text` or `data`, `room?`, `target?`; without a target the whole room gets it, the sender too |
//! | `video-offer`, `video-answer` | both | `target`, `sdp`, `room?` |
//! | `new-ice-candidate` | both | `target`, `candidate`, `room?` |
//! | `hang-up` | both | `target?`, `room?`; without a target it ends the sender's calls, and only those |
//! | `ice-servers` | both | asked for without fields; answered, and pushed after three quarters of `ttl`, with `iceServers`, `ttl` |
//! | `error` | server | `code`, `message`, `re` (the type refused) |
//!
//! `polite` is the part that the *reader* plays toward that user in perfect negotiation: who came
//! later is polite, and is also the one who should offer first. A `target` is a member's `id` (a
//! number) or its name (a string), which another member may have by then. What is relayed carries
//! the sender's true `name`, and in a room its `id` and the `room`; a `user` or a `from` in it is
//! the sender's, too, but for a string as `from` in a call, a mark that its two ends have agreed
//! on. Every other byte is as it was sent: `sdp`, `candidate` and `data` are never parsed.
//!
//! A member pays for what its messages cost: see
//! [`messages_per_second`](HubConfig::messages_per_second). One that costs more than is left gets
//! `rate-limited`, and the member is closed only when not even one message is left.
//!
//! A member whose queue the driver finds full ([`Queues`]) misses what others say, and the sender
//! gets `receiver-busy`: of a message to a whole room the others have it all the same. What it
//! misses of who comes and goes it gets as one `userlist` when it has read what waits for it.
//!
//! Joins count by network ([`joins_per_second`](HubConfig::joins_per_second)): a client that makes
//! too many gets `rate-limited` and asks again later.
//!
//! # Doors
//!
//! A room is open unless a member says otherwise: `locked`, it takes nobody new (`room-locked`);
//! with `knock`, a newcomer waits until a member admits or refuses it. Every member may do all of
//! that, as rooms have no owner. `access` and `waiting` (`name` and `id` of each) are there in
//! `joined` and `userlist` while a room is not open. Who waits is in no place of the room, gets no
//! ICE servers, and waits for [`knock_timeout`](HubConfig::knock_timeout) at most
//! (`knock-timeout`), with few others
//! ([`max_waiting_per_room`](HubConfig::max_waiting_per_room), `too-many-waiting`). `leave` ends
//! it. When a room is opened all of them come in. The room ends when its last member has left, and
//! the lock with it.
//!
//! # Coming back
//!
//! A client whose `join` has a `session`, `null` at first, finds one in `joined`. By it another
//! connection takes the earlier one's name and place in that room, whether the room is locked or
//! not; an earlier connection that still seems alive is closed
//! ([`Replaced`](CloseReason::Replaced)). What a lost connection did not `leave` is held for it:
//! its name for [`name_hold`](HubConfig::name_hold), and in a room that is not open for
//! [`place_hold`](HubConfig::place_hold). Everybody else who asks for the name gets another one. A
//! `session` that fits nothing is as good as none. Clients that send none have no names held, which
//! would keep them from their own.
//!
//! # The lobby
//!
//! Members who said their `username` and are in no room meet in the lobby, in the dialect of MDN's
//! `webrtc-from-chat` sample, whose unmodified client is at home there: user lists are arrays of
//! names, a chat message loses its HTML tags, a type that is not in the table is passed on. Changes
//! that follow each other fast share a list
//! ([`lobby_bytes_per_second`](HubConfig::lobby_bytes_per_second)). A member that [`NewMember::lobby`] puts there is listed as `null` until it has a name. Who joins a
//! room leaves the lobby, and comes back with the last room.
//!
//! # Standards
//!
//! - [x] [RFC 8266] nicknames, and the skeletons of [UTS 39]: a name is taken if another one looks
//!   like it
//! - [x] [RFC 8829] offers, answers and candidates are carried as they are (JSEP leaves signaling
//!   open)
//! - [x] [WebRTC perfect negotiation]: the hub deals out the polite part
//! - [x] MDN's `webrtc-from-chat` messages, with its faults mended: see the lobby
//! - [ ] `PeerJS` messages: not yet
//! - [ ] Queues for absent members: left out on purpose; an offer is stale before its reader is
//!   there
//!
//! [RFC 8266]: https://www.rfc-editor.org/rfc/rfc8266
//! [UTS 39]: https://www.unicode.org/reports/tr39/
//! [RFC 8829]: https://www.rfc-editor.org/rfc/rfc8829
//! [WebRTC perfect negotiation]: https://www.w3.org/TR/webrtc/#perfect-negotiation-example
//!
//! # Features
//!
//! | feature | what |
//! |---|---|
//! | `internals` | the hidden module `internals`, for the fuzz harness alone |

mod config;
mod counters;
mod credentials;
mod door;
mod envelope;
mod error;
mod hold;
mod hooks;
mod hub;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod join;
mod lobby;
mod member;
mod name;
mod output;
mod relay;
mod room;
mod scope;
mod session;
mod skeleton;
mod write;

pub use config::HubConfig;
pub use counters::HubCounters;
pub use error::ErrorCode;
pub use hooks::{Gate, IceServerList, IceServers, NoIceServers, Queues};
pub use hub::Hub;
pub use member::NewMember;
pub use output::{AckId, CloseReason, MemberId, Output};

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
