//! Events as Server-Sent Events: what all streams of a process share ([`feed`]), and one client's stream ([`stream`]).

mod feed;
mod stream;

pub use feed::EventFeed;
pub(super) use feed::NoStream;
pub(super) use stream::{Listener, stream};
