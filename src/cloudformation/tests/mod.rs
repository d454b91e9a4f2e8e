//! The handler as a whole, answering to a real socket.

mod answers;
mod lifecycle;
mod secrets;
mod support;
