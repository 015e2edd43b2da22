//! From tokens to declarations and formulas, in both versions of the language.

use std::collections::HashMap;

use super::formula::{Comparison, Expression, Formula};
use super::lexer::{Lexer, Token};
use super::number::Constant;
use super::specification::{ElementType, Names};
use crate::files::token as token_of;

/// Nesting of a formula beyond this is refused; real files have four levels.
const DEEPEST: usize = 64;
/// Largest number of inputs or outputs.
const MAX_VARIABLES: usize = 1 << 26;

/// One input or output, by its flat index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Variable {
    Input(u32),
    Output(u32),
}

/// A file as it was read.
pub(super) struct Query {
    pub version: (u32, u32),
    pub element: ElementType,
    pub input_shape: Vec<usize>,
    pub output_shape: Vec<usize>,
    pub names: Names,
    /// Of the second network, where there is one.
    pub second: Option<Names>,
    pub asserts: Vec<Formula>,
}

pub(super) struct ParseError {
    pub at: usize,
    pub detail: String,
}

type Result<T> = std::result::Result<T, ParseError>;

/// A tensor of version 2.0.
struct Declared {
    /// The first or the second.
    network: usize,
    is_input: bool,
    shape: Vec<usize>,
    /// Elements after which each index steps.
    strides: Vec<usize>,
}

/// The names of a network of version 2.0, and of its input and output.
struct Declaration<'a> {
    name: &'a str,
    tensors: [Option<&'a str>; 2],
}

/// Networks that a file may declare.
const MOST_NETWORKS: usize = 2;

struct Parser<'a> {
    lexer: Lexer<'a>,
    version: (u32, u32),
    /// Version 1.0: which inputs and outputs were declared.
    flat: [Vec<bool>; 2],
    /// Version 2.0.
    tensors: HashMap<&'a str, Declared>,
    networks: Vec<Declaration<'a>>,
    element: Option<ElementType>,
    /// The variable that was read last: the network, and which.
    last: Option<(usize, Variable)>,
    /// Which inputs of the second network are said to be those of the first.
    tied: Vec<bool>,
    asserts: Vec<Formula>,
}

pub(super) fn parse(text: &str) -> Result<Query> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        version: (1, 0),
        flat: [Vec::new(), Vec::new()],
        tensors: HashMap::new(),
        networks: Vec::new(),
        element: None,
        last: None,
        tied: Vec::new(),
        asserts: Vec::new(),
    };
    while let Some(token) = parser.lexer.next() {
        if token.text != "(" {
            return Err(parser.unexpected(token, "`(`"));
        }
        parser.command()?;
    }
    parser.finish()
}

fn error<T>(at: usize, detail: impl Into<String>) -> Result<T> {
    Err(ParseError { at, detail: detail.into() })
}

impl<'a> Parser<'a> {
    /// Whether the text is a specification at all: something was declared. Before that nothing of it is quoted.
    fn is_recognised(&self) -> bool {
        !self.networks.is_empty() || self.flat.iter().any(|declared| !declared.is_empty())
    }

    fn unexpected(&self, token: Token<'_>, expected: &str) -> ParseError {
        let found = if self.is_recognised() { format!(", found `{}`", token_of(token.text)) } else { String::new() };
        ParseError { at: token.at, detail: format!("expected {expected}{found}") }
    }

    fn undeclared(&self, at: usize, name: &str) -> ParseError {
        let name = if self.is_recognised() { format!("`{}`", token_of(name)) } else { "what is named".to_owned() };
        ParseError { at, detail: format!("{name} is not declared") }
    }

    fn finish(self) -> Result<Query> {
        let end = self.lexer.end();
        let mut shapes = self.flat.map(|declared| vec![declared.len()]);
        for tensor in self.tensors.into_values().filter(|tensor| tensor.network == 0) {
            shapes[usize::from(!tensor.is_input)] = tensor.shape;
        }
        let [input_shape, output_shape] = shapes;
        if let [first, second] = &self.networks[..]
            && let Some(left) = self.tied.iter().position(|tied| !tied)
        {
            let detail = format!(
                "input {left} of `{}` is not said to be that of `{}`: two networks of the same inputs are supported, each tied by an assertion \
                 of its own such as `(== {}[{left}] {}[{left}])`",
                token_of(second.name),
                token_of(first.name),
                token_of(first.tensors[0].unwrap_or("X_f")),
                token_of(second.tensors[0].unwrap_or("X_g")),
            );
            return error(end, detail);
        }
        if input_shape == [0] || output_shape == [0] {
            return error(end, "no inputs or no outputs are declared");
        }
        if self.asserts.is_empty() {
            return error(end, "nothing is asserted");
        }
        let name = |name: Option<&str>, otherwise: &str| name.unwrap_or(otherwise).to_owned();
        let names = |declared: &Declaration| Names {
            network: Some(declared.name.to_owned()),
            input: name(declared.tensors[0], "X"),
            output: name(declared.tensors[1], "Y"),
        };
        let flat = || Names { network: None, input: name(None, "X"), output: name(None, "Y") };
        Ok(Query {
            version: self.version,
            element: self.element.unwrap_or(ElementType::Real),
            input_shape,
            output_shape,
            names: self.networks.first().map_or_else(flat, names),
            second: self.networks.get(1).map(names),
            asserts: self.asserts,
        })
    }

    /// The next token, which must exist.
    fn token(&mut self) -> Result<Token<'a>> {
        let end = self.lexer.end();
        self.lexer.next().ok_or_else(|| ParseError { at: end, detail: "the text ends within an expression".to_owned() })
    }

    fn peek(&mut self) -> Result<Token<'a>> {
        let end = self.lexer.end();
        self.lexer.peek().ok_or_else(|| ParseError { at: end, detail: "the text ends within an expression".to_owned() })
    }

    fn expect(&mut self, text: &str) -> Result<Token<'a>> {
        let token = self.token()?;
        if token.text == text { Ok(token) } else { Err(self.unexpected(token, &format!("`{text}`"))) }
    }

    /// After the opening parenthesis at the top level.
    fn command(&mut self) -> Result<()> {
        let keyword = self.token()?;
        match keyword.text {
            "assert" => {
                let formula = self.formula(0)?;
                // What only says that both networks have one input holds of every input there is.
                self.asserts.extend(formula);
                self.expect(")").map(drop)
            }
            "declare-const" | "declare-fun" if self.version.0 == 1 => self.declare_variable(keyword),
            "vnnlib-version" => self.declare_version(keyword),
            "declare-network" => self.declare_network(keyword),
            _ => Err(self.unexpected(keyword, "`assert` or a declaration")),
        }
    }

    /// `(declare-const X_0 Real)` or `(declare-fun X_0 () Real)`.
    fn declare_variable(&mut self, keyword: Token<'a>) -> Result<()> {
        let name = self.token()?;
        if keyword.text == "declare-fun" {
            self.expect("(")?;
            self.expect(")")?;
        }
        let kind = self.token()?;
        if kind.text != "Real" {
            return Err(self.unexpected(kind, "`Real`"));
        }
        self.expect(")")?;
        let (side, index) = flat_name(name.text).ok_or_else(|| self.unexpected(name, "a variable `X_i` or `Y_i`")).and_then(
            |(side, index)| {
                if index < MAX_VARIABLES { Ok((side, index)) } else { error(name.at, "too many variables") }
            },
        )?;
        let declared = &mut self.flat[side];
        if declared.len() <= index {
            declared.resize(index + 1, false);
        }
        if std::mem::replace(&mut declared[index], true) {
            return error(name.at, format!("`{}` is declared twice", token_of(name.text)));
        }
        Ok(())
    }

    /// `(vnnlib-version <2.0>)`, with or without the angle brackets.
    fn declare_version(&mut self, keyword: Token<'a>) -> Result<()> {
        let token = self.token()?;
        let text = token.text.trim_start_matches('<').trim_end_matches('>');
        let parts = text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        self.version = match parts {
            Some(version @ (1 | 2, _)) => version,
            Some((major, minor)) => return error(token.at, format!("version {major}.{minor} is not known: 1.0 and 2.0 are")),
            None => return Err(self.unexpected(token, "a version such as `<2.0>`")),
        };
        if !self.asserts.is_empty() || self.is_recognised() || self.flat.iter().any(|declared| !declared.is_empty()) {
            return error(keyword.at, "the version must come first");
        }
        self.expect(")").map(drop)
    }

    fn declare_network(&mut self, keyword: Token<'a>) -> Result<()> {
        // A file without a version that declares a network is of version 2.0.
        self.version = self.version.max((2, 0));
        if self.networks.len() == MOST_NETWORKS {
            return error(keyword.at, "a third network: queries about one or two networks are supported");
        }
        if !self.asserts.is_empty() {
            return error(keyword.at, "a network is declared after an assertion: declarations come first");
        }
        let name = self.name()?;
        if self.networks.iter().any(|network| network.name == name) {
            return error(keyword.at, "two networks have one name");
        }
        self.networks.push(Declaration { name, tensors: [None, None] });
        loop {
            let token = self.token()?;
            if token.text == ")" {
                break;
            }
            if token.text != "(" {
                return Err(self.unexpected(token, "`(`"));
            }
            let keyword = self.token()?;
            match keyword.text {
                "declare-input" => self.declare_tensor(keyword, true)?,
                "declare-output" => self.declare_tensor(keyword, false)?,
                "isomorphic-to" if self.networks.len() == MOST_NETWORKS => {
                    let other = self.token()?;
                    if other.text != self.networks[0].name {
                        return Err(self.undeclared(other.at, other.text));
                    }
                    self.expect(")")?;
                }
                "declare-hidden" | "equal-to" | "isomorphic-to" => {
                    return error(keyword.at, format!("`{}` is not supported", keyword.text));
                }
                _ => return Err(self.unexpected(keyword, "`declare-input` or `declare-output`")),
            }
        }
        let declared = self.networks.iter().flat_map(|network| network.tensors);
        let tensors: Vec<&Declared> = declared.filter_map(|name| self.tensors.get(name?)).collect();
        match tensors[..] {
            [_, _] if self.networks.len() == 1 => Ok(()),
            [a, b, c, d] if (&a.shape, &b.shape) != (&c.shape, &d.shape) => {
                error(keyword.at, "the two networks have inputs or outputs of different shapes: two of the same are supported")
            }
            [first, _, _, _] => {
                self.tied = vec![false; first.shape.iter().product()];
                Ok(())
            }
            _ => error(keyword.at, "a network needs an input and an output"),
        }
    }

    /// `X float32 [1,5] "name in the model")`.
    fn declare_tensor(&mut self, keyword: Token<'a>, is_input: bool) -> Result<()> {
        let name = self.name()?;
        let network = self.networks.len().saturating_sub(1);
        let taken = match self.networks.last_mut() {
            Some(declared) => declared.tensors[usize::from(!is_input)].replace(name).is_some(),
            None => true,
        };
        if taken || self.tensors.contains_key(name) {
            return error(keyword.at, "networks with one input and one output of different names are supported");
        }
        let kind = self.token()?;
        let element = match kind.text {
            "Real" | "real" => ElementType::Real,
            "float32" => ElementType::Float32,
            "float64" => ElementType::Float64,
            _ => return Err(self.unexpected(kind, "an element type among `Real`, `float32`, `float64`")),
        };
        if self.element.replace(element).is_some_and(|other| other != element) {
            return error(kind.at, "inputs and outputs have different element types");
        }
        let (at, indices) = self.indices()?;
        let shape = indices.ok_or_else(|| ParseError { at, detail: "expected a shape such as `[1,5]`".to_owned() })?;
        let mut strides = vec![1; shape.len()];
        let mut count = 1_usize;
        for (stride, &extent) in strides.iter_mut().zip(&shape).rev() {
            *stride = count;
            count = count.checked_mul(extent).filter(|&count| count <= MAX_VARIABLES).unwrap_or(0);
        }
        if count == 0 {
            return error(at, "the shape has no elements, or too many");
        }
        if self.peek()?.text.starts_with('"') {
            self.token()?;
        }
        self.tensors.insert(name, Declared { network, is_input, shape, strides });
        self.expect(")").map(drop)
    }

    fn name(&mut self) -> Result<&'a str> {
        let token = self.token()?;
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let valid = token.text.starts_with(|c: char| c.is_ascii_alphabetic()) && token.text.chars().all(word);
        if valid { Ok(token.text) } else { Err(self.unexpected(token, "a name")) }
    }

    /// `[0, 3]`, which blanks may split into several words; `None` when the next word is something else.
    fn indices(&mut self) -> Result<(usize, Option<Vec<usize>>)> {
        let first = self.peek()?;
        if !first.text.starts_with('[') {
            return Ok((first.at, None));
        }
        let mut text = String::new();
        loop {
            let token = self.token()?;
            text.push_str(token.text);
            if token.text.ends_with(']') {
                break;
            }
            if token.text == "(" || token.text == ")" || text.len() > 256 {
                return Err(self.unexpected(token, "`]`"));
            }
        }
        parse_indices(&text)
            .map_or_else(|| Err(self.unexpected(first, "a list of numbers such as `[0,3]`")), |list| Ok((first.at, Some(list))))
    }

    /// What is asserted: a formula, or nothing where it ties an input of the second network to that of the first.
    fn formula(&mut self, depth: usize) -> Result<Option<Formula>> {
        let open = self.expect("(")?;
        if depth >= DEEPEST {
            return error(open.at, format!("more than {DEEPEST} nested expressions"));
        }
        let keyword = self.token()?;
        if let "and" | "or" = keyword.text {
            let mut parts = Vec::new();
            while self.peek()?.text != ")" {
                // In a disjunction an input would be tied in one case alone.
                match self.formula(depth + 1)? {
                    Some(part) => parts.push(part),
                    None if keyword.text == "and" && depth == 0 => {}
                    None => return error(keyword.at, "inputs of two networks are tied at the top level alone"),
                }
            }
            self.token()?;
            return Ok(Some(if keyword.text == "and" { Formula::And(parts) } else { Formula::Or(parts) }));
        }
        let comparison = match keyword.text {
            "<=" => Comparison::LessOrEqual,
            ">=" => Comparison::GreaterOrEqual,
            "<" => Comparison::Less,
            ">" => Comparison::Greater,
            "=" | "==" => Comparison::Equal,
            "!=" => Comparison::NotEqual,
            _ => return Err(self.unexpected(keyword, "`and`, `or` or a comparison")),
        };
        let (left, one) = self.side(depth + 1)?;
        let (right, other) = self.side(depth + 1)?;
        self.expect(")")?;
        // An input of the second network is read as that of the first: all of them have to be tied.
        if let (Comparison::Equal, Some((a, Variable::Input(i))), Some((b, Variable::Input(j)))) = (&comparison, one, other)
            && a != b
            && i == j
        {
            self.tied[i as usize] = true;
            return Ok(None);
        }
        let overflow = || ParseError { at: keyword.at, detail: "a number is out of range".to_owned() };
        Formula::compare(comparison, left, right).map(Some).ok_or_else(overflow)
    }

    /// One side of a comparison, and the variable that it is, written as it stands. What only comes to a variable once inputs are read
    /// as those of the other network ties nothing.
    fn side(&mut self, depth: usize) -> Result<(Expression, Option<(usize, Variable)>)> {
        let stands_alone = self.peek()?.text != "(";
        let expression = self.expression(depth)?;
        Ok((expression, self.last.take().filter(|_| stands_alone)))
    }

    fn expression(&mut self, depth: usize) -> Result<Expression> {
        let token = self.token()?;
        if depth >= DEEPEST {
            return error(token.at, format!("more than {DEEPEST} nested expressions"));
        }
        if token.text != "(" {
            return self.operand(token);
        }
        let keyword = self.token()?;
        if !matches!(keyword.text, "+" | "-" | "*") {
            return Err(self.unexpected(keyword, "`+`, `-` or `*`"));
        }
        let mut result = self.expression(depth + 1)?;
        let mut count = 1;
        while self.peek()?.text != ")" {
            let next = self.expression(depth + 1)?;
            count += 1;
            result = match keyword.text {
                "+" => result.plus(next),
                "-" => result.plus(next.negated()),
                _ => result.times(next).ok_or_else(|| ParseError {
                    at: keyword.at,
                    detail: "a product of two variables: linear atoms are supported".to_owned(),
                })?,
            };
        }
        self.token()?;
        Ok(if keyword.text == "-" && count == 1 { result.negated() } else { result })
    }

    /// A number or a variable.
    fn operand(&mut self, token: Token<'a>) -> Result<Expression> {
        if token.text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
            let number = Constant::parse(token.text);
            return number
                .map(Expression::constant)
                .ok_or_else(|| self.unexpected(token, "a number within the range of double precision"));
        }
        if self.version.0 == 1 {
            let declared = flat_name(token.text).filter(|&(side, index)| self.flat[side].get(index) == Some(&true));
            let Some((side, index)) = declared else {
                return Err(self.undeclared(token.at, token.text));
            };
            let index = index as u32;
            return Ok(Expression::variable(if side == 0 { Variable::Input(index) } else { Variable::Output(index) }));
        }
        let (name, attached) = token.text.find('[').map_or((token.text, ""), |at| token.text.split_at(at));
        let indices = if attached.is_empty() {
            self.indices()?.1.unwrap_or_default()
        } else {
            let mut text = attached.to_owned();
            while !text.ends_with(']') {
                let more = self.token()?;
                if more.text == "(" || more.text == ")" || text.len() > 256 {
                    return Err(self.unexpected(more, "`]`"));
                }
                text.push_str(more.text);
            }
            parse_indices(&text).ok_or_else(|| self.unexpected(token, "indices such as `[0,3]`"))?
        };
        let Some(tensor) = self.tensors.get(name) else {
            return Err(self.undeclared(token.at, name));
        };
        let inside = indices.len() == tensor.shape.len() && indices.iter().zip(&tensor.shape).all(|(i, extent)| i < extent);
        if !inside {
            let detail = format!("`{}` has the shape {:?}: the indices {indices:?} are not in it", token_of(name), tensor.shape);
            return error(token.at, detail);
        }
        let flat = indices.iter().zip(&tensor.strides).map(|(index, stride)| index * stride).sum::<usize>() as u32;
        // Outputs of the second network follow those of the first.
        let before = (tensor.network * tensor.shape.iter().product::<usize>()) as u32;
        let variable = if tensor.is_input { Variable::Input(flat) } else { Variable::Output(before + flat) };
        self.last = Some((tensor.network, variable));
        Ok(Expression::variable(variable))
    }
}

/// `X_3` is (0, 3), `Y_0` is (1, 0).
fn flat_name(name: &str) -> Option<(usize, usize)> {
    let (side, digits) = match name.as_bytes() {
        [b'X', b'_', ..] => (0, &name[2..]),
        [b'Y', b'_', ..] => (1, &name[2..]),
        _ => return None,
    };
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| plain).map(|index| (side, index))
}

fn parse_indices(text: &str) -> Option<Vec<usize>> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    if inside.is_empty() {
        return Some(Vec::new());
    }
    inside.split(',').map(|index| index.parse().ok()).collect()
}
