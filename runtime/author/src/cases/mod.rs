//! The cases of `millrace plugin test`: `tests/cases.kdl` beside the sources of a plugin.
//!
//! ```kdl
//! // For all cases of the file; a case that has the node itself does not get this one.
//! config { keep 4 }
//! grant { channel "audit" }
//!
//! case "a card number keeps its last four digits" {
//!     config { mask "*" }                    // the options, as in the configuration of an agent
//!     in {                                   // one batch: one call
//!         event "card 4111111111111111" source="web"    // the body, and headers as properties
//!         event { body hex="00ff"; header "a b" "c" }   // any bytes: hex="…" or base64="…"
//!     }
//!     out {                                  // exactly these events, in this order
//!         event "card ************1111" source="web" redacted="1"
//!         event { body hex="00ff"; header "a b" "c" }
//!     }
//! }
//!
//! case "nothing changes" { in { event "a" }; unchanged }
//! case "all are dropped" { in { event "a" }; out }
//! case "the rest goes elsewhere" {
//!     in { event "a"; event "b"; event "c" }
//!     out { event "b" }
//!     route "audit" { event "a" }            // exactly these events to a channel that was granted
//!     reject "no account" { event "c" }      // exactly these to the dead-letter channel, for this reason
//! }
//! case "the plugin breaks on it" { in { event "boom" }; fault "trap" { event "boom" } }
//! case "later" { in { event "a" }; failure "retry" after="500ms" }
//! case "broken" { in { event "a" }; failure "fatal" "no rules" }
//! case "a second batch sees what the first one left" {
//!     in { event "a" }; unchanged
//!     in { event "a" }; out
//! }
//! case "a mask of two characters" { config { mask "##" }; issue "/mask" "one character" }
//! ```
//!
//! A case is a list of steps on one instance: `in` is a call, and what follows it says what must come of it, all of it: events
//! that are not named are a difference. An `in` needs something that follows. A case whose configuration must be refused has
//! `issue`s and nothing else: a JSON pointer into the options and, if it matters, a part of the reason.
//!
//! Headers are compared by name and value, in any order. A property of an `event` is a header; `header "name" "value"` as a
//! child is the same for names that would be odd as properties.
//!
//! A sink has the same `in`, followed by `delivered`, by `refused row=1 "reject" "reason"` or `refused row=1 "retry"` once for each row
//! that it did not take, or by `failure "retry"`, `failure "reject" "reason"` or `failure "fatal" "reason"`.
//!
//! A source has no `in` but `open` (from the beginning, or `open "text"`, `open hex="…"` for a position) and then `poll`s: its answers that
//! hold something, each with all its events and, where it has one, the position behind them. `events=` is how many it is asked for.
//! `pace "end"` says that it has nothing more ever; other paces are not compared, since they are not seen from outside. Answers
//! behind the last `poll` are not looked at without it.
//!
//! ```kdl
//! case "two pages" {
//!     open
//!     poll events=100 { event "first" page="1"; position "1"; pace "now" }
//!     poll { event "second" page="2"; position "2"; pace "end" }
//! }
//! ```
//!
//! What a plugin asks of HTTP is answered by the case, one `http` after the other in the order of the requests; `sent` is the body that the
//! request must have:
//!
//! ```kdl
//! case "an order is sent" {
//!     config { url "https://shop.example.com/orders" }
//!     http "POST" "https://shop.example.com/orders" status=201 { sent "one"; header "x-id" "1"; body "done" }
//!     in { event "one" }
//!     delivered
//! }
//! ```
//!
//! The answers come from a server on loopback that takes the place of the origins in the options (also of `http://recorded`, for plugins that
//! may ask anybody). A case without `grant` grants everything that the manifest wants; secrets and variables then have a value of their
//! own, and directories are empty.

mod diff;
mod event;
mod grants;
mod read;
mod recorded;
mod run;
mod source;

pub use diff::difference;
pub use event::CaseEvent;
pub use read::{Answer, Call, Case, CaseFile, Issue, Poll, read};
pub use run::{CaseResult, Runner};
