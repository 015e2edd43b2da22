//! Every diagnostic: a stable code, a title, what it means and what to do. Codes are printed in brackets at the end of a
//! message, and `verify explain CODE` prints this page of them. A code never changes its meaning; one that is no longer used
//! is not used again.

mod assigned;
mod passes;

pub use assigned::Coded;

/// The command line is wrong.
pub const USAGE: &str = "NV001";
/// A file cannot be written.
pub const WRITE: &str = "NV002";
/// The program failed within itself.
pub const INTERNAL: &str = "NV003";

/// One kind of diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: &'static str,
    pub title: &'static str,
    pub explanation: &'static str,
    pub remedy: &'static str,
}

const fn diagnostic(code: &'static str, title: &'static str, explanation: &'static str, remedy: &'static str) -> Diagnostic {
    Diagnostic { code, title, explanation, remedy }
}

/// All of them, in the order of their codes: 0xx the command line and the machine, 1xx models, 2xx data, 3xx specifications, 4xx policies, 5xx certificates, 6xx
/// outcomes.
pub const ALL: &[Diagnostic] = &[
    diagnostic(
        "NV001",
        "the command line is wrong",
        "An option is unknown, is missing, contradicts another, or has a value that makes no sense.",
        "`verify --help` and `verify COMMAND --help` list the options with their values.",
    ),
    diagnostic(
        "NV002",
        "a file cannot be written",
        "A result, report, certificate or temporary file, or the standard output, could not be written in whole.",
        "Check path, permissions and free space; options such as `-o` and `--certificate` name another place.",
    ),
    diagnostic(
        "NV003",
        "the program failed within itself",
        "A step failed that nothing in the input should make fail. Nothing is established by the run.",
        "Please report it with the command and, if possible, the model.",
    ),
    diagnostic(
        "NV101",
        "a model file cannot be read",
        "The operating system does not let the file be read, or it is a folder.",
        "Check the path and its permissions.",
    ),
    diagnostic(
        "NV102",
        "the file is not a readable ONNX model",
        "The file is empty, is another format, or its bytes do not decode as an ONNX model; a compressed file may be damaged.",
        "Export the model again; a model in another format must be converted to ONNX.",
    ),
    diagnostic(
        "NV103",
        "the model exceeds a limit",
        "A size, depth or count lies beyond what is read before memory is set aside. The limits keep hostile files from taking the machine down.",
        "Split or shrink the model. Real models of the supported kind lie far below the limits.",
    ),
    diagnostic(
        "NV104",
        "the model is ambiguous",
        "A field or attribute that has one value occurs twice. Readers disagree about such files, so a claim about one would be a claim about a reader.",
        "Export the model again with a conforming exporter.",
    ),
    diagnostic(
        "NV105",
        "the model defines functions of its own",
        "Model-local functions are not inlined.",
        "Export without local functions, or inline them with `onnx.inliner`.",
    ),
    diagnostic(
        "NV106",
        "the file is JSON, but not an implicit network",
        "A JSON file is read as the description of an implicit network z = φ(W z + U x + b), y = C z + d. A key is missing or not known, an array does not have the shape that the others ask for, or the activation is not one whose slopes are bounded.",
        "`verify schema implicit-model` prints the format. A certificate is given to `verify check`, with `--model MODEL`.",
    ),
    diagnostic(
        "NV110",
        "a tensor of the model cannot be used",
        "Its type, shape or data contradict each other, or are not supported.",
        "The message names the tensor; export it as float32, float64 or integers.",
    ),
    diagnostic(
        "NV111",
        "external data of the model cannot be used",
        "The tensor's data lie in another file that is missing, too short, not what the model's checksum says, or outside the model's folder. Links and paths that lead out of the folder are never followed.",
        "Keep the data files beside the model, or export with the data inside.",
    ),
    diagnostic(
        "NV120",
        "the graph is not well formed",
        "It has a cycle, a value that is defined twice or never, or an output that no input reaches.",
        "Export the model again; `onnx.checker` shows the same.",
    ),
    diagnostic(
        "NV121",
        "the graph does not have one input and one output",
        "Claims are about functions of one tensor to one tensor, and the shape must be known.",
        "Cut the graph at the wanted input and output (`onnx.utils.extract_model`) and fix its shapes.",
    ),
    diagnostic(
        "NV122",
        "the operator set is not supported",
        "The version of an operator set lies outside what is read, or is stated twice.",
        "Convert with `onnx.version_converter` to a version that the message names.",
    ),
    diagnostic(
        "NV130",
        "an operator is not supported",
        "No operator is guessed: one that is not known exactly is an error.",
        "The message names the operator and those that are supported; replace it, or see `docs/extending.md`.",
    ),
    diagnostic(
        "NV131",
        "an operator is used in a way that is not supported",
        "The operator is known, but not with these attributes or operands.",
        "The message names what is supported.",
    ),
    diagnostic(
        "NV132",
        "a node contradicts its operator",
        "The number of its operands, their shapes, or an attribute contradict the operator's definition.",
        "Export the model again; the file is not a valid ONNX model.",
    ),
    diagnostic(
        "NV140",
        "the model does not fit the question",
        "The model can be used, but not for what is asked: an operation has no slope, derivative or bound there, classes are compared where there is one output, or nothing counts as a parameter.",
        "`verify inspect MODEL` shows what can be certified, and why not.",
    ),
    diagnostic(
        "NV201",
        "a data file cannot be used",
        "It cannot be read, is not of a known format, or is damaged.",
        "NumPy (.npy, .npz), IDX and CSV are read, each also gzipped; the message names the place.",
    ),
    diagnostic(
        "NV202",
        "the data do not fit the model",
        "Samples or targets have another shape or number than the model or the loss needs, or are not finite.",
        "Shape the data as the model's input without the batch dimension; `verify inspect` shows it.",
    ),
    diagnostic(
        "NV301",
        "a specification cannot be used",
        "The VNN-LIB file cannot be read, or something at the named line and column is not understood.",
        "Versions 1.0 as competitions use it and the core of 2.0 are read.",
    ),
    diagnostic(
        "NV401",
        "there is no policy",
        "No `verify.toml` was found in the current folder or above it.",
        "`verify init MODEL` writes one; `--policy FILE` names one elsewhere.",
    ),
    diagnostic(
        "NV402",
        "a policy cannot be read",
        "The file cannot be read, is too large, is not UTF-8, or is a link or lies behind one.",
        "Check the path and its permissions; name the policy itself.",
    ),
    diagnostic(
        "NV403",
        "a policy is wrong",
        "A key or value at the named line and column is not known, or makes no sense. Nothing is ignored: a rule that is misspelt must not pass.",
        "The hint names what was probably meant; `verify schema policy` prints the format.",
    ),
    diagnostic(
        "NV404",
        "a baseline cannot be used",
        "The certificate that regressions are measured against cannot be read, is damaged, does not make the claim, makes it with less assurance than the rule asks for, or lies where the gate writes.",
        "Write one with `verify MODEL --… --certificate FILE` for the version that is the baseline.",
    ),
    diagnostic(
        "NV405",
        "results cannot be used for a report",
        "The file of `--results` cannot be read, is not what `--output-format json` writes, or is about another model.",
        "Write it with `verify MODEL --… --output-format json -o FILE` for the model of the report.",
    ),
    diagnostic(
        "NV406",
        "the policy says nothing about the model",
        "`verify report --policy` applies the rules of the policy's model whose path is that of `--model`; there is none.",
        "Name the policy's own file with `--model`, or add the model to the policy.",
    ),
    diagnostic(
        "NV407",
        "a file that the policy may not use",
        "Models, data, specifications, baselines and the folder of certificates must be regular files and folders below the policy's folder, reached without links: whoever changes a repository must not lead the gate to other files.",
        "Put the file itself there. `--allow-outside` allows links and files elsewhere, which the report then says.",
    ),
    diagnostic(
        "NV408",
        "a lock file cannot be used",
        "The file beside the policy that pins the files which it names is missing where the policy asks for it, or is not what `verify gate --lock` writes.",
        "`verify gate --lock` writes it; look at what changed before you commit it.",
    ),
    diagnostic(
        "NV501",
        "a certificate cannot be read",
        "The file cannot be opened, is not a certificate of this format, or is too large.",
        "Make the certificate again.",
    ),
    diagnostic(
        "NV502",
        "a certificate of another version",
        "The major version of its schema is not the one that this program reads.",
        "Check it with the version of the program that wrote it, or make it again.",
    ),
    diagnostic(
        "NV503",
        "a certificate was altered",
        "Its contents, or those of the bundle beside it, do not have the digest that it states. The digest guards against accidents; against lies stands the check itself.",
        "Restore the file from where it came, or make the certificate again.",
    ),
    diagnostic(
        "NV504",
        "a certificate about another model",
        "The digest of the model, or of its external data, is not the one that the certificate names.",
        "Give the model that it was made for, or make it again for this one.",
    ),
    diagnostic(
        "NV505",
        "a certificate that is no list of claims",
        "It makes no claim, too many, or two under one name, or a name could be mistaken for a part of a report.",
        "Make the certificate again.",
    ),
    diagnostic(
        "NV511",
        "a claim about files that were not given",
        "The claim names a data or specification file by its digest, and none of that digest is at hand.",
        "Name it with `--file FILE`; a file that changed since needs a new certificate.",
    ),
    diagnostic(
        "NV512",
        "a claim about files that cannot be used",
        "The file has the right digest, but is not data or a specification that fits the model.",
        "Make the certificate again with usable files.",
    ),
    diagnostic(
        "NV513",
        "a claim that is not whole",
        "A figure is not a finite number with its own outward decimal, or figure and witness are not both there, or do not fit the network.",
        "Make the certificate again.",
    ),
    diagnostic(
        "NV514",
        "a claim in another arithmetic or of greater assurance than is proved",
        "It says more than the checker establishes: float32 where only real arithmetic is proved, or `proved` where less was found.",
        "Make the certificate again.",
    ),
    diagnostic(
        "NV515",
        "a figure that is not proved",
        "The checker's own bound is worse than the figure that is claimed. The claim may be true, but its witness does not show it.",
        "Make the certificate again; where a pass made this one, please report it.",
    ),
    diagnostic(
        "NV516",
        "a matrix inequality that is not proved",
        "The witness's multipliers do not make the matrix positive definite in sound arithmetic.",
        "Make the certificate again; where a pass made this one, please report it.",
    ),
    diagnostic(
        "NV517",
        "a network that the rules do not cover",
        "An operation of the network has no rule of this kind, is too large, or its values cannot be enclosed.",
        "`verify inspect MODEL` shows what can be certified, and why not.",
    ),
    diagnostic(
        "NV518",
        "a property that is not shown",
        "A box is not refuted by its bounds, or a point is not proved to be unsafe, or lies elsewhere.",
        "Make the certificate again; where a pass made this one, please report it.",
    ),
    diagnostic(
        "NV519",
        "a tensor that is no parameter",
        "The claim differentiates with respect to a tensor whose values decide what a node computes: a bound of a clip, an exponent, the angle of a reflection, a number that was cast to an integer. The network as it is read does not follow them, so its derivatives are not those of the file's function.",
        "Make the certificate again: the tensor is left out of the parameters.",
    ),
    diagnostic(
        "NV601",
        "a rule of the policy is violated",
        "A claim that the checker established breaks the limit, or no better one was found with the whole effort. The table says by how much.",
        "Improve the model, or change the policy where the limit was wrong.",
    ),
    diagnostic(
        "NV602",
        "a rule of the policy is not decided",
        "Nothing is established either way: the search ended at its limits, or what was found carries too little assurance.",
        "Raise `limits.timeout` or `limits.memory`, or ask for less.",
    ),
    diagnostic(
        "NV603",
        "a file is not the pinned one",
        "The SHA-256 of a model, or of a file that the policy names, is not the one of the policy or of its lock file; or the lock file does not name the file.",
        "Restore the file, or change the pin (`verify gate --lock` writes the lock file) together with the reason for it.",
    ),
    diagnostic(
        "NV604",
        "the checker refused what a pass found",
        "The pass's witness does not prove its claim. Nothing is established; the model may be fine.",
        "This is a defect of the pass: please report it with the model.",
    ),
    diagnostic(
        "NV605",
        "nothing could be certified",
        "No engine found a witness that proves a bound, or a matrix is too badly conditioned to be factored. Nothing is established either way.",
        "Give it more time or memory (`--timeout`, `--memory`), or ask for less.",
    ),
    diagnostic(
        "NV606",
        "a property is violated",
        "A claim that the checker established again says that an input of the specification's region is unsafe; the certificate holds that input.",
        "Improve the model, or change the specification where it asks for too much.",
    ),
];

/// The page of a code, however it is capitalised.
#[must_use]
pub fn find(code: &str) -> Option<&'static Diagnostic> {
    ALL.iter().find(|diagnostic| diagnostic.code.eq_ignore_ascii_case(code.trim()))
}

/// A message with its code.
#[must_use]
pub fn tagged(message: impl std::fmt::Display, code: &str) -> String {
    format!("{message} [{code}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_sorted_and_say_something() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
        for diagnostic in ALL {
            let number = diagnostic.code.strip_prefix("NV").and_then(|digits| digits.parse::<u32>().ok());
            assert!(number.is_some_and(|number| (1..700).contains(&number)), "{}", diagnostic.code);
            assert!([diagnostic.title, diagnostic.explanation, diagnostic.remedy].iter().all(|text| text.len() > 10));
        }
    }

    #[test]
    fn every_code_that_is_given_has_a_page() {
        let source = concat!(include_str!("mod.rs"), include_str!("assigned.rs"), include_str!("passes.rs"));
        let given = source.split('"').skip(1).step_by(2).filter(|word| word.len() == 5 && word.starts_with("NV"));
        let mut count = 0;
        for code in given.filter(|code| code[2..].bytes().all(|b| b.is_ascii_digit())) {
            assert!(find(code).is_some(), "{code}");
            count += 1;
        }
        assert!(count > 2 * ALL.len() / 2, "the scan sees the codes");
    }

    #[test]
    fn a_code_is_found_as_people_write_it() {
        assert_eq!(tagged("altered", "NV503"), "altered [NV503]");
        assert_eq!(find(" nv503 ").map(|found| found.code), Some("NV503"));
    }
}
