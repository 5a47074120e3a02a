//! The sink `object-store`: a bucket writer whose finished files become objects of S3, Google Cloud Storage, Azure or of
//! a folder.
//!
//! An object cannot be appended to, so files grow on the local disk (the *stage*, in the agent's data folder) and are
//! uploaded when they are finished. What it promises:
//! - **A delivered batch is on the local disk**, synced by default, until its object is complete. A restart goes on with
//!   what is staged. Who cannot trust the local disk keeps `roll` short.
//! - **An object is complete or not there.** Its name is fixed when its file is begun and is unique to this sink (it
//!   ends with eight random hex digits drawn at the start), so an upload that comes again replaces the object by itself
//!   instead of adding a second one.
//! - **No parts are left behind.** The id of an upload in parts is on the disk before its first part is sent; what was cut
//!   short is aborted before the next attempt. Between the store's answer with the id and the note is a moment in
//!   which a crash leaves an upload without parts: a life-cycle rule for unfinished uploads ends those.
//! - While the store cannot be reached, files wait in the stage; with `max-open-files` of them waiting, deliveries fail
//!   and events stay in their channel.

mod part;
mod place;
mod remote;
mod settings;
mod sink;
mod stage;
mod upload;

pub use sink::factories;
