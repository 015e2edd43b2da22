//! Commands: what a user types, reads and gets wrong; the gate under attack; what stands in the documentation.
//!
//! | file | what it holds |
//! |---|---|
//! | `architecture` | What is read off the source text |
//! | `attack` | The gate, the reports and the runner as somebody attacks them who opens a pull request and may change any file of it |
//! | `certificates` | Damaged and dishonest certificates |
//! | `choices` | Networks that choose by comparison, as commands see them |
//! | `cli` | The `verify` program as its users meet it |
//! | `curvature_command` | `--hessian-trace` and `--inverse-hessian` as their users meet them |
//! | `data` | Data files as people have them, as another library writes and reads them, and damaged |
//! | `documentation` | The commands of README and `docs/` as tests |
//! | `gate` | The gate as a repository meets it |
//! | `kept` | Nothing that was found is lost, and nothing that lies there is replaced in silence |
//! | `limits` | What hostile or careless files may not do |
//! | `report` | The audit report as a page |
//! | `reports` | Questions that were answered wrongly or badly, from public reports on tools of this kind |

#[path = "../common/mod.rs"]
mod common;

mod architecture;
#[cfg(unix)]
mod attack;
mod certificates;
mod choices;
mod cli;
mod curvature_command;
mod data;
mod documentation;
mod gate;
mod kept;
mod limits;
mod mistakes;
mod report;
mod reports;
