//! Turns a panic of foreign code into a value, without its message on stderr.
//!
//! The process-wide panic hook is wrapped once; the wrapper stays silent on a
//! thread that is inside [`quietly`] and hands every other panic to the hook
//! that was installed before. A hook that the program installs later replaces
//! the wrapper: the panic is still caught, but its message appears. The same
//! holds for a panic on a worker thread, which is reported where it happens.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

static WRAP_HOOK: Once = Once::new();

/// Restores the flag of the enclosing call, also on unwinding.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        QUIET.with(|flag| flag.set(self.0));
    }
}

/// Runs `work` and returns its value, or the panic's message.
///
/// The caller must not look again at data that `work` mutates when it panics.
/// Calls may nest. With `panic = "abort"` nothing can be caught.
///
/// # Errors
///
/// The message of the panic, if `work` panicked.
pub fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    WRAP_HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // The flag is gone when a thread panics while it is torn down.
            if !QUIET.try_with(Cell::get).unwrap_or(false) {
                previous(info);
            }
        }));
    });
    let _restore = Restore(QUIET.with(|flag| flag.replace(true)));
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| message(payload.as_ref()))
}

fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_string()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "panic without a message".to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_pass_and_panics_become_messages() {
        assert_eq!(quietly(|| 3), Ok(3));
        assert_eq!(quietly(|| panic!("plain")), Err::<(), _>("plain".into()));
        let formatted = quietly(|| -> () { panic!("number {}", 7) });
        assert_eq!(formatted, Err("number 7".into()));
        let other = quietly(|| -> () { panic::panic_any(5_u8) });
        assert_eq!(other, Err("panic without a message".into()));
    }

    #[test]
    fn the_flag_is_restored_in_nested_calls() {
        let outer = quietly(|| {
            assert!(quietly(|| -> () { panic!("inner") }).is_err());
            QUIET.with(Cell::get)
        });
        assert_eq!(outer, Ok(true));
        assert!(!QUIET.with(Cell::get));
    }
}
