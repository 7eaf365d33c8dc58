//! What a hostile, broken or greedy client can do, which should be little: raw bytes, floods, slow reading and writing; and what an operator
//! relies on: encryption, an orderly end, and that no secret is shown.

mod busy;
mod parts;
mod program;
mod rates;
mod raw;
mod starting;
mod stop;
mod tls;
