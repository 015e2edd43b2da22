//! What is being done, on stderr: a spinner on a terminal, else a line now and then.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::report::visible;

/// Between two lines where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(10);

pub enum Progress {
    Quiet,
    Spinner(ProgressBar),
    Lines(Lines),
}

/// The latest step, told by a thread of its own until the sender is dropped.
pub struct Lines {
    step: Arc<Mutex<String>>,
    _running: Sender<()>,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        if quiet {
            return Self::Quiet;
        }
        if !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            let step = Arc::new(Mutex::new(String::new()));
            let (running, ended) = channel();
            let told = Arc::clone(&step);
            std::thread::spawn(move || heartbeat(&told, &ended));
            return Self::Lines(Lines { step, _running: running });
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self::Spinner(bar)
    }

    pub fn step(&self, name: &str) {
        match self {
            Self::Quiet => {}
            Self::Spinner(bar) => bar.set_message(name.to_owned()),
            Self::Lines(lines) => name.clone_into(&mut lines.step.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Ends it.
    pub fn finish(self) {
        if let Self::Spinner(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn heartbeat(step: &Mutex<String>, ended: &Receiver<()>) {
    let start = Instant::now();
    while ended.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
        let step = step.lock().unwrap_or_else(PoisonError::into_inner).clone();
        eprintln!(
            "working: {} s, {}",
            start.elapsed().as_secs(),
            if step.is_empty() { "starting".into() } else { visible(&step) }
        );
    }
}
