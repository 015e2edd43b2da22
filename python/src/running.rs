//! Work beside the interpreter: on a thread of its own, while the caller's thread waits without the interpreter's lock, tells
//! progress and looks for signals.
//!
//! The first interrupt ends the search as a time limit does, so that what was found is kept; a second one gives the caller back
//! its thread, and the search ends at its next look at the clock. Until then no other work is begun: the request to stop is one
//! for the whole process.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use nnverify::deadline::stop_request;
use nnverify::query::Watch;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use crate::failure::Failed;

/// Between two looks at signals and progress.
const TICK: Duration = Duration::from_millis(50);

/// How many searches run.
static RUNNING: Mutex<usize> = Mutex::new(0);

/// What is being done: written by the search, read by the thread that waits.
#[derive(Clone, Default)]
pub struct Progress(Arc<Mutex<(String, usize, usize)>>);

impl Progress {
    fn state(&self) -> MutexGuard<'_, (String, usize, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Progress {
    fn step(&self, what: &str) {
        what.clone_into(&mut self.state().0);
    }

    fn finished(&self, samples: usize, of: usize) {
        let mut state = self.state();
        // Threads tell in any order.
        state.1 = state.1.max(samples);
        state.2 = of;
    }
}

/// One of the searches that run. The last to end withdraws the request to stop.
struct Running;

impl Running {
    fn begin() -> Result<Self, Failed> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if *running == 0 {
            stop_request().store(false, Ordering::Relaxed);
        } else if stop_request().load(Ordering::Relaxed) {
            return Err(Failed::usage("a search that was interrupted has not ended yet"));
        }
        *running += 1;
        Ok(Self)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        *running -= 1;
        if *running == 0 {
            stop_request().store(false, Ordering::Relaxed);
        }
    }
}

/// Returns what `work` gives, and whether an interrupt ended it. `told` is called with the step, and with how many samples of how many are
/// finished.
///
/// # Errors
/// What a signal's handler or `told` raises, a second interrupt, or a panic.
pub fn attended<T: Send + 'static>(
    py: Python<'_>,
    told: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Progress) -> T + Send + 'static,
) -> PyResult<(T, bool)> {
    use_all_cores();
    let running = Running::begin()?;
    let progress = Progress::default();
    let (sender, mut receiver) = channel();
    let watch = progress.clone();
    std::thread::spawn(move || {
        let found = work(&watch);
        drop(running);
        // Nobody listens after a second interrupt.
        let _ = sender.send(found);
    });
    let mut last = (String::new(), 0, 0);
    let mut raised: Option<PyErr> = None;
    let found = loop {
        let (waiting, result) = py.detach(move || {
            let result = receiver.recv_timeout(TICK);
            (receiver, result)
        });
        receiver = waiting;
        match result {
            Ok(found) => break found,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failed::internal("the search failed within itself; nothing is established").into());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let mut tell = || -> PyResult<()> {
            py.check_signals()?;
            let now = progress.state().clone();
            if let Some(told) = told.filter(|_| raised.is_none() && now != last) {
                told.call1((&now.0, now.1, now.2))?;
                last = now;
            }
            Ok(())
        };
        if let Err(error) = tell() {
            if raised.is_some() {
                return Err(error);
            }
            stop_request().store(true, Ordering::Relaxed);
            raised = Some(error);
        }
    };
    match raised {
        Some(error) if !error.is_instance_of::<PyKeyboardInterrupt>(py) => Err(error),
        interrupt => Ok((found, interrupt.is_some())),
    }
}

/// Lets checks use as many threads as searches do, where nobody asked for a number of them.
fn use_all_cores() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| nnverify::kernel::threads::allow_threads(rayon::current_num_threads()));
}
