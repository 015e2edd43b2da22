//! Signals that ask the program to stop: the first ends the search like a time limit, so that what was found is kept; the second
//! ends the program.

use std::sync::atomic::Ordering;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

use super::output::Output;
use crate::deadline::stop_request;

/// How shells report a program that an interrupt ended.
const INTERRUPTED: i32 = 130;

/// Listens from now on. Where the system refuses, signals end the program as they do without this.
pub fn listen() {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the shutdown happens only where an earlier signal has raised the request.
        let _ = register_conditional_shutdown(signal, INTERRUPTED, stop_request());
        let _ = register(signal, stop_request());
    }
}

/// Says that the search was stopped, where it was.
pub fn tell(output: &Output) {
    if stop_request().load(Ordering::Relaxed) {
        output.note("stopped by a signal: what was found until then is told");
    }
}
