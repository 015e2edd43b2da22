//! The action of GitHub, its shell steps run by hand in a checkout of hostile files.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common::repository;

use super::{SECRET, link, lipschitz, policy, put, small, text};

/// The commands of the action's steps, by their names.
fn steps() -> Vec<(String, String)> {
    let action = std::fs::read_to_string(repository("action.yml")).unwrap();
    let mut steps: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in action.lines() {
        let depth = line.len() - line.trim_start().len();
        if let Some(name) = line.trim_start().strip_prefix("- name: ") {
            steps.push((name.to_owned(), String::new()));
            inside = false;
        } else if let Some(rest) = line.strip_prefix("      run: ") {
            inside = rest == "|";
            if let (false, Some(step)) = (inside, steps.last_mut()) {
                step.1.push_str(rest);
            }
        } else if inside && (depth >= 8 || line.trim().is_empty()) {
            let step = &mut steps.last_mut().unwrap().1;
            step.push_str(line.get(8..).unwrap_or_default());
            step.push('\n');
        } else {
            inside = false;
        }
    }
    steps.retain(|(_, commands)| !commands.is_empty());
    steps
}

fn step(name: &str) -> String {
    steps().into_iter().find(|step| step.0 == name).unwrap_or_else(|| panic!("there is no step `{name}`")).1
}

/// Runs a step in a checkout as the runner does; exit code and what was printed.
fn run(commands: &str, checkout: &Path, runner: &Path, variables: &[(&str, &str)]) -> (i32, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_verify")).parent().unwrap();
    let path = format!("{}:{}:/usr/bin:/bin", runner.join("tools").display(), program.display());
    let mut shell = Command::new("bash");
    shell.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", commands]).current_dir(checkout).env_clear();
    shell.env("PATH", path).env("RUNNER_TEMP", runner).env("AAA", SECRET).env("HOME", runner);
    shell.env("GITHUB_OUTPUT", runner.join("output")).env("GITHUB_STEP_SUMMARY", runner.join("summary"));
    shell.env("GITHUB_PATH", runner.join("path")).env("GITHUB_REPOSITORY", "o/r");
    let ended = shell.envs(variables.iter().copied()).output().unwrap();
    let all = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    (ended.status.code().unwrap(), all)
}

/// What a runner has.
fn runner() -> tempfile::TempDir {
    let runner = tempfile::tempdir().unwrap();
    put(runner.path(), "output", "");
    put(runner.path(), "summary", "");
    // Says what would be posted.
    put(
        runner.path(),
        "tools/gh",
        "#!/bin/sh\nwhile [ \"$1\" != --body-file ]; do shift; done\ncat \"$2\" > \"$RUNNER_TEMP/posted\"\n",
    );
    std::fs::set_permissions(runner.path().join("tools/gh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    runner
}

fn output(runner: &Path, name: &str) -> String {
    let outputs = text(runner, "output");
    let found = outputs.lines().find_map(|line| line.strip_prefix(&format!("{name}=")).map(str::to_owned));
    found.unwrap_or_default()
}

#[test]
fn nothing_from_outside_is_part_of_a_command() {
    let steps = steps();
    assert_eq!(steps.len(), 4, "{steps:?}");
    for (name, commands) in steps {
        assert!(!commands.contains("${{"), "{name}: what is given to the action goes through the environment");
        assert!(!commands.contains("eval"), "{name}");
    }
    let action = std::fs::read_to_string(repository("action.yml")).unwrap();
    // The token is given to the one step that posts.
    assert_eq!(action.matches("github.token").count(), 1);
    assert!(!action.contains("secrets."));
}

#[test]
fn the_gate_in_a_hostile_checkout() {
    let (gate, decide, comment) = (step("Gate"), step("Decide"), step("Comment"));
    // A specification that is the environment, and a policy whose name is a command.
    for file in ["/proc/self/environ", "../secret", "config"] {
        let (checkout, runner) = (small(""), runner());
        let here = checkout.path();
        put(here, "config", format!("[core]\n\tauthorization = {SECRET}\n"));
        put(runner.path(), "secret", SECRET);
        if file == "config" {
            std::fs::copy(here.join(file), here.join("s.vnnlib")).unwrap();
        } else {
            link(here, file, "s.vnnlib");
        }
        let name = "$(touch pwned).toml";
        put(here, name, policy("[[models.m.specification]]\nfile = \"s.vnnlib\"\n"));
        let given = [("POLICY", name), ("ARGUMENTS", "--threads 1 ; touch pwned")];
        let (code, all) = run(&gate, here, runner.path(), &given);
        assert_eq!(code, 0, "the step itself goes on: {all}");
        // `;` is no command but an argument that there is none of.
        assert_eq!(output(runner.path(), "exit-code"), "2");
        let (code, all) = run(&gate, here, runner.path(), &[("POLICY", name), ("ARGUMENTS", "")]);
        assert_eq!(code, 0, "{all}");
        let status = text(runner.path(), "output")
            .lines()
            .filter_map(|line| line.strip_prefix("exit-code="))
            .next_back()
            .unwrap()
            .to_owned();
        assert_eq!(status, "2", "{all}");
        let report =
            text(runner.path(), "output").lines().filter_map(|line| line.strip_prefix("report=")).next_back().unwrap().to_owned();
        let posting = [("REPORT", report.as_str()), ("NUMBER", "1"), ("STATUS", status.as_str())];
        assert_eq!(run(&comment, here, runner.path(), &posting).0, 0);
        assert_eq!(run(&decide, here, runner.path(), &posting).0, 2);
        assert_eq!(run(&decide, here, runner.path(), &[("STATUS", "")]).0, 2, "no status is no success");
        assert!(!here.join("pwned").exists());
        assert!(text(runner.path(), "posted").contains("s.vnnlib"));
        let mut seen = 0;
        for entry in std::fs::read_dir(&report).unwrap().map(|entry| entry.unwrap().path()) {
            assert!(!std::fs::read_to_string(&entry).unwrap().contains(SECRET), "{}", entry.display());
            seen += 1;
        }
        assert_eq!(seen, 5);
        assert!(![all, text(runner.path(), "posted"), text(runner.path(), "summary")].iter().any(|text| text.contains(SECRET)));
    }
}

#[test]
fn the_gate_in_an_honest_checkout() {
    let (checkout, runner) = (small(&lipschitz("m", "max-bound = 1000.0")), runner());
    let given = [("POLICY", "verify.toml"), ("ARGUMENTS", "--threads 1")];
    let (code, all) = run(&step("Gate"), checkout.path(), runner.path(), &given);
    assert_eq!(
        (code, output(runner.path(), "exit-code").as_str(), output(runner.path(), "sarif").as_str()),
        (0, "0", "true"),
        "{all}"
    );
    assert!(text(runner.path(), "summary").contains("Policy met"));
    let report = output(runner.path(), "report");
    let posting = [("REPORT", report.as_str()), ("NUMBER", "1"), ("STATUS", "0")];
    assert_eq!(run(&step("Comment"), checkout.path(), runner.path(), &posting).0, 0);
    assert!(text(runner.path(), "posted").contains("Policy met"));
    assert_eq!(run(&step("Decide"), checkout.path(), runner.path(), &posting).0, 0);
    // A policy that cannot be read leaves no earlier success behind.
    put(checkout.path(), "verify.toml", "models = 1\n");
    let (_, _) = run(&step("Gate"), checkout.path(), runner.path(), &given);
    let report =
        text(runner.path(), "output").lines().filter_map(|line| line.strip_prefix("report=")).next_back().unwrap().to_owned();
    let posting = [("REPORT", report.as_str()), ("NUMBER", "1"), ("STATUS", "2")];
    assert_eq!(run(&step("Comment"), checkout.path(), runner.path(), &posting).0, 0);
    let posted = text(runner.path(), "posted");
    assert!(!posted.contains("Policy met") && posted.contains("exit code 2"), "{posted}");
}
