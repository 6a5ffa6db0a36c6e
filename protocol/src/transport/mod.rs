//! The transport of messages between processes.
//!
//! `primitive`: words that two processes share. [`ring`]: a buffer of messages with one producer
//! and one consumer. [`doorbell`]: the doorbell that ends the sleep of a side. [`wire`]: messages
//! as bytes. [`mailbox`]: all of these between the driver and one worker. [`link`]: the socket that
//! brings descriptors.

pub mod doorbell;
pub mod link;
pub mod mailbox;
pub mod primitive;
pub mod ring;
pub mod wire;
