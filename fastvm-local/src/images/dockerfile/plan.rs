//! What a Dockerfile asks for, checked as far as it can be before anything is built: each
//! instruction has its form, each stage its base, and none that the target does not need is built.

use std::collections::{BTreeMap, BTreeSet};

use super::parse::{Heredoc, Instruction, Parsed, heredoc_start, json_list};
use super::words::{Lex, pairs, split};
use super::{DockerfileSpec, Fault};
use crate::images::{check_platform, own_platform};

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) stages: Vec<Stage>,
    /// The stage that becomes the image.
    pub(super) target: usize,
    /// What quotes characters.
    pub(super) escape: char,
    /// Variables that are set before the first stage; stages get them by naming them.
    pub(super) global: BTreeMap<String, String>,
    /// Build arguments that no ARG has asked for.
    pub(super) unused: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Stage {
    pub(super) line: usize,
    /// As it is in the file.
    pub(super) text: String,
    pub(super) name: Option<String>,
    pub(super) base: Base,
    pub(super) steps: Vec<Step>,
    /// What cannot be built in it, which matters only if it is needed.
    fault: Option<Fault>,
}

/// Where the files of a stage, or those that are copied, come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    Scratch,
    Stage(usize),
    Image(String),
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) keyword: String,
    /// As it is in the file.
    pub(super) text: String,
    pub(super) action: Action,
}

impl Step {
    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault::new(self.line, &self.keyword, what)
    }
}

/// What is done. Texts are as in the file: variables are substituted when their values are known.
#[derive(Debug)]
pub(super) enum Action {
    Arg(Vec<(String, Option<String>)>),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Workdir(String),
    User(String),
    Shell(Vec<String>),
    Cmd(Command),
    Entrypoint(Command),
    Expose(Vec<String>),
    Copy(Copy),
    Run(Command),
    /// It means nothing to a VM; said so if there is something to say.
    Nothing(Option<&'static str>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Exec(Vec<String>),
    /// For the shell.
    Shell(String),
    /// A here-document that names its own interpreter.
    Script(String),
}

#[derive(Debug)]
pub(super) struct Copy {
    /// The context unless told.
    pub(super) from: Option<Base>,
    pub(super) sources: Vec<String>,
    pub(super) files: Vec<Heredoc>,
    pub(super) dest: String,
    pub(super) chown: Option<String>,
    pub(super) chmod: Option<String>,
    /// `ADD`: archives are unpacked.
    pub(super) unpacks: bool,
}

/// Build arguments that RUN sees without an ARG.
const PREDEFINED: [&str; 5] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

pub(super) fn is_predefined(name: &str) -> bool {
    PREDEFINED
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Variables about the platform, which ARG gives a stage, and which `FROM` knows.
fn platform_variables() -> BTreeMap<String, String> {
    let platform = own_platform();
    let arch = platform.rsplit('/').next().unwrap_or_default().to_owned();
    let both = ["TARGET", "BUILD"].into_iter().flat_map(|side| {
        [
            (format!("{side}PLATFORM"), platform.clone()),
            (format!("{side}OS"), "linux".to_owned()),
            (format!("{side}ARCH"), arch.clone()),
            (format!("{side}VARIANT"), String::new()),
        ]
    });
    both.collect()
}

impl Plan {
    pub(super) fn new(parsed: Parsed, spec: &DockerfileSpec) -> Result<Self, Fault> {
        let mut planner = Planner {
            spec,
            escape: parsed.escape,
            global: platform_variables(),
            declared: BTreeSet::new(),
            stages: Vec::new(),
        };
        for instruction in &parsed.instructions {
            planner.add(instruction)?;
        }
        let unused = spec.build_args.keys();
        let unused =
            unused.filter(|name| !planner.declared.contains(*name) && !is_predefined(name));
        let mut plan = Self {
            target: planner.target()?,
            escape: planner.escape,
            unused: unused.cloned().collect(),
            global: planner.global,
            stages: planner.stages,
        };
        for index in plan.needed() {
            let stage = plan.stages.get_mut(index);
            if let Some(fault) = stage.and_then(|stage| stage.fault.take()) {
                return Err(fault);
            }
        }
        Ok(plan)
    }

    /// The stages that the target needs, itself included, in their order.
    pub(super) fn needed(&self) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut open = vec![self.target];
        while let Some(index) = open.pop() {
            let Some(stage) = self.stages.get(index).filter(|_| needed.insert(index)) else {
                continue;
            };
            let copied = stage.steps.iter().filter_map(|step| match &step.action {
                Action::Copy(copy) => copy.from.as_ref(),
                _ => None,
            });
            for base in copied.chain([&stage.base]) {
                if let Base::Stage(other) = base {
                    open.push(*other);
                }
            }
        }
        needed
    }
}

struct Planner<'a> {
    spec: &'a DockerfileSpec,
    escape: char,
    global: BTreeMap<String, String>,
    /// All names that an ARG has.
    declared: BTreeSet<String>,
    stages: Vec<Stage>,
}

impl Planner<'_> {
    fn add(&mut self, instruction: &Instruction) -> Result<(), Fault> {
        let fault = |what: String| Fault::new(instruction.line, &instruction.keyword, what);
        if instruction.keyword == "FROM" {
            let stage = self.from(instruction).map_err(fault)?;
            self.stages.push(stage);
            return Ok(());
        }
        let action = self.action(instruction).map_err(fault);
        let Some(stage) = self.stages.last_mut() else {
            return match action? {
                Action::Arg(args) => self.global_args(args).map_err(fault),
                _ => Err(fault("only ARG may stand before the first FROM".to_owned())),
            };
        };
        match action {
            Ok(action) => stage.steps.push(Step {
                line: instruction.line,
                keyword: instruction.keyword.clone(),
                text: shown(instruction),
                action,
            }),
            Err(fault) => {
                stage.fault.get_or_insert(fault);
            }
        }
        Ok(())
    }

    fn global_args(&mut self, args: Vec<(String, Option<String>)>) -> Result<(), String> {
        for (name, default) in args {
            let value = match (self.spec.build_args.get(&name), default) {
                (Some(value), _) => Some(value.clone()),
                (None, Some(default)) => Some(self.substitute(&default)?),
                (None, None) => None,
            };
            if let Some(value) = value {
                self.global.insert(name, value);
            }
        }
        Ok(())
    }

    fn substitute(&self, text: &str) -> Result<String, String> {
        let get = |name: &str| self.global.get(name).cloned();
        Lex::new(self.escape, &get).word(text)
    }

    fn from(&self, instruction: &Instruction) -> Result<Stage, String> {
        let mut foreign = None;
        for (name, value) in &instruction.flags {
            match (name.as_str(), value) {
                ("platform", Some(value)) => {
                    let platform = self.substitute(value)?;
                    foreign = check_platform(Some(&platform)).err();
                }
                _ => return Err(unknown_flag(name)),
            }
        }
        let words = split(&instruction.rest, self.escape);
        let (image, name) = match &words[..] {
            [image] => (image, None),
            [image, by, name] if by.eq_ignore_ascii_case("as") => (image, Some(name)),
            _ => return Err("it takes an image, and AS with a name".to_owned()),
        };
        let image = self.substitute(image)?;
        if image.is_empty() {
            return Err("the name of the image is empty once variables are substituted".to_owned());
        }
        let name = name.map(|name| name.to_ascii_lowercase());
        if let Some(name) = &name {
            self.check_stage_name(name)?;
        }
        let base = match (image.as_str(), self.stage_of(&image)) {
            ("scratch", _) => Base::Scratch,
            (_, Some(index)) => Base::Stage(index),
            _ => Base::Image(image),
        };
        Ok(Stage {
            line: instruction.line,
            text: shown(instruction),
            name,
            base,
            steps: Vec::new(),
            fault: foreign
                .map(|error| Fault::new(instruction.line, &instruction.keyword, error.to_string())),
        })
    }

    fn check_stage_name(&self, name: &str) -> Result<(), String> {
        let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !is_plain || name == "scratch" {
            return Err(format!("{name:?} cannot be the name of a stage"));
        }
        match self.stage_of(name) {
            Some(_) => Err(format!("there is a stage {name:?} already")),
            None => Ok(()),
        }
    }

    fn stage_of(&self, name: &str) -> Option<usize> {
        let is_named = |stage: &Stage| {
            let own = stage.name.as_deref();
            own.is_some_and(|own| own.eq_ignore_ascii_case(name))
        };
        self.stages.iter().position(is_named)
    }

    fn target(&self) -> Result<usize, Fault> {
        let fault = |what: String| Fault::of_file(what);
        let Some(last) = self.stages.len().checked_sub(1) else {
            return Err(fault("there is no FROM".to_owned()));
        };
        let target = self.spec.target.as_deref().unwrap_or_default();
        if target.is_empty() {
            return Ok(last);
        }
        let by_number = || target.parse().ok().filter(|index| *index <= last);
        self.stage_of(target)
            .or_else(by_number)
            .ok_or_else(|| fault(format!("there is no stage {target:?} to build")))
    }

    fn action(&mut self, instruction: &Instruction) -> Result<Action, String> {
        let rest = instruction.rest.as_str();
        let is_flagged = matches!(
            instruction.keyword.as_str(),
            "ADD" | "COPY" | "RUN" | "HEALTHCHECK"
        );
        if let Some((name, _)) = instruction.flags.first().filter(|_| !is_flagged) {
            return Err(unknown_flag(name));
        }
        let takes_none = matches!(instruction.keyword.as_str(), "CMD");
        let is_known = KNOWN.contains(&instruction.keyword.as_str());
        if rest.is_empty() && is_known && !takes_none {
            return Err("its arguments are missing".to_owned());
        }
        Ok(match instruction.keyword.as_str() {
            "ADD" => Action::Copy(self.copy(instruction, true)?),
            "ARG" => Action::Arg(self.args(rest)?),
            "CMD" => Action::Cmd(command(rest)),
            "COPY" => Action::Copy(self.copy(instruction, false)?),
            "ENTRYPOINT" => Action::Entrypoint(command(rest)),
            "ENV" => Action::Env(pairs(rest, self.escape)?),
            "EXPOSE" => Action::Expose(split(rest, self.escape)),
            "HEALTHCHECK" => Action::Nothing(Some("a VM has no health check: it is ignored")),
            "LABEL" => Action::Label(pairs(rest, self.escape)?),
            "MAINTAINER" => Action::Nothing(None),
            "RUN" => Action::Run(run(instruction)?),
            "SHELL" => match json_list(rest) {
                Some(shell) if !shell.is_empty() => Action::Shell(shell),
                _ => return Err("it takes a JSON list of texts".to_owned()),
            },
            "STOPSIGNAL" => Action::Nothing(Some("a VM is not stopped by a signal: it is ignored")),
            "USER" => Action::User(rest.to_owned()),
            "VOLUME" => Action::Nothing(Some(
                "the folder is an ordinary one of the VM: attach a volume to keep what is in it",
            )),
            "WORKDIR" => Action::Workdir(rest.to_owned()),
            "ONBUILD" => return Err("this instruction is not supported".to_owned()),
            _ => {
                return Err(format!(
                    "there is no such instruction; known are {}",
                    KNOWN.join(", ")
                ));
            }
        })
    }

    fn args(&mut self, rest: &str) -> Result<Vec<(String, Option<String>)>, String> {
        let words = split(rest, self.escape).into_iter();
        let args: Vec<(String, Option<String>)> = words
            .map(|word| match word.split_once('=') {
                Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
                None => (word, None),
            })
            .collect();
        if args.iter().any(|(name, _)| name.is_empty()) {
            return Err("a name is missing".to_owned());
        }
        self.declared
            .extend(args.iter().map(|(name, _)| name.clone()));
        Ok(args)
    }

    fn copy(&self, instruction: &Instruction, unpacks: bool) -> Result<Copy, String> {
        let rest = &instruction.rest;
        let words =
            json_list(rest).unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect());
        let Some((dest, sources)) = words
            .split_last()
            .filter(|(_, sources)| !sources.is_empty())
        else {
            return Err("it takes a source and a destination".to_owned());
        };
        let mut copy = Copy {
            from: None,
            sources: Vec::new(),
            files: instruction.heredocs.clone(),
            dest: dest.clone(),
            chown: None,
            chmod: None,
            unpacks,
        };
        let is_file = |source: &&String| copy.files.is_empty() || heredoc_start(source).is_none();
        copy.sources = sources.iter().filter(is_file).cloned().collect();
        if sources.len() > 1 && !is_folder(dest) {
            return Err("with several sources, the destination must end with /".to_owned());
        }
        if let Some(remote) = copy.sources.iter().find(|source| is_remote(source)) {
            return Err(match unpacks {
                true => format!("{remote} is not fetched: a build here asks no network for files"),
                false => format!("{remote} is no path of the context"),
            });
        }
        for (name, value) in &instruction.flags {
            match (name.as_str(), value.clone()) {
                ("from", Some(from)) if !unpacks => copy.from = self.copied_from(&from)?,
                ("chown", Some(value)) => copy.chown = Some(value),
                ("chmod", Some(value)) => copy.chmod = Some(value),
                // Without layers, it means nothing.
                ("link", None) => {}
                ("link", Some(value)) if matches!(value.as_str(), "true" | "false") => {}
                _ => return Err(unknown_flag(name)),
            }
        }
        Ok(copy)
    }

    fn copied_from(&self, from: &str) -> Result<Option<Base>, String> {
        if from.contains('$') {
            return Err("variables are not substituted in --from".to_owned());
        }
        // The stage that is being built is the last one: it cannot be copied from.
        let current = self.stages.len().saturating_sub(1);
        let by_number = || from.parse::<usize>().ok();
        let base = match self.stage_of(from).or_else(by_number) {
            Some(index) if index < current => Base::Stage(index),
            Some(_) => return Err(format!("--from={from} is not an earlier stage")),
            None => Base::Image(from.to_owned()),
        };
        match base {
            Base::Image(name) if name == "scratch" => {
                Err("there are no files in scratch".to_owned())
            }
            base => Ok(Some(base)),
        }
    }
}

const KNOWN: [&str; 17] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// An instruction in one line that is not too long.
fn shown(instruction: &Instruction) -> String {
    let text = format!("{} {}", instruction.keyword, instruction.rest);
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Characters of an instruction that are shown.
const MOST_SHOWN: usize = 200;

fn unknown_flag(name: &str) -> String {
    format!("--{name} is not supported")
}

/// Whether a destination is a folder by its name.
pub(super) fn is_folder(dest: &str) -> bool {
    dest.ends_with('/') || matches!(dest.rsplit('/').next(), Some("." | ".."))
}

fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git://", "git@", "ssh://"]
        .iter()
        .any(|scheme| source.starts_with(scheme))
}

fn command(rest: &str) -> Command {
    match json_list(rest) {
        Some(list) => Command::Exec(list),
        None => Command::Shell(rest.to_owned()),
    }
}

fn run(instruction: &Instruction) -> Result<Command, String> {
    for (name, value) in &instruction.flags {
        check_run_flag(name, value.as_deref().unwrap_or_default())?;
    }
    let [first, others @ ..] = &instruction.heredocs[..] else {
        return match command(&instruction.rest) {
            Command::Exec(list) if list.is_empty() => Err("the list is empty".to_owned()),
            command => Ok(command),
        };
    };
    if others.is_empty() && heredoc_start(&instruction.rest).is_some() {
        let content = first.content();
        return Ok(match content.starts_with("#!") {
            true => Command::Script(content),
            false => Command::Shell(content),
        });
    }
    // The shell knows here-documents itself.
    let mut line = instruction.rest.clone();
    for heredoc in &instruction.heredocs {
        line.push('\n');
        line.push_str(&heredoc.text);
        line.push_str(&heredoc.name);
    }
    Ok(Command::Shell(line))
}

fn check_run_flag(name: &str, value: &str) -> Result<(), String> {
    match name {
        "mount" => {
            let fields = value.split(',').filter_map(|field| field.split_once('='));
            let kind = fields.into_iter().find(|(key, _)| *key == "type");
            match kind.map_or("bind", |(_, kind)| kind) {
                // Empty folders that are gone afterwards: without them, what is written there stays.
                "cache" | "tmpfs" => Ok(()),
                kind => Err(format!("--mount=type={kind} is not supported")),
            }
        }
        // All commands of a VM have the host's network.
        "network" if value == "default" || value == "host" => Ok(()),
        "network" => Err(format!("--network={value} is not supported")),
        name => Err(unknown_flag(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn plan_with(text: &str, spec: &DockerfileSpec) -> Result<Plan, Fault> {
        Plan::new(parse(text)?, spec)
    }

    fn plan(text: &str) -> Result<Plan, Fault> {
        plan_with(text, &DockerfileSpec::default())
    }

    fn fault(text: &str) -> String {
        plan(text)
            .expect_err(text)
            .in_file("Dockerfile")
            .to_string()
    }

    #[test]
    fn only_stages_that_the_target_needs_are_built() {
        let text = "FROM local/base AS Tools\nFROM scratch AS unused\nCOPY --from=tools /a /a\n\
                    FROM tools AS build\nFROM scratch\nCOPY --from=BUILD /a /b\nCOPY --from=0 /a /c";
        let plan = plan(text).unwrap();
        assert_eq!(plan.needed().into_iter().collect::<Vec<_>>(), [0, 2, 3]);
        let target = |target: &str| {
            let spec = DockerfileSpec {
                target: Some(target.to_owned()),
                ..DockerfileSpec::default()
            };
            plan_with(text, &spec).map(|plan| plan.target)
        };
        assert_eq!(target("unused").unwrap(), 1);
        assert_eq!(target("BUILD").unwrap(), 2);
        assert_eq!(target("0").unwrap(), 0);
        assert_eq!(target("").unwrap(), 3);
        let faulty = "FROM a\nONBUILD RUN x\nFROM --platform=linux/s390x b\nFETCH\nFROM c";
        assert!(self::plan(faulty).is_ok());
        let error = target("nothing")
            .unwrap_err()
            .in_file("Dockerfile")
            .to_string();
        assert_eq!(error, "Dockerfile: there is no stage \"nothing\" to build");
    }

    #[test]
    fn arguments_before_the_first_stage_are_known_to_from() {
        let text = "ARG BASE=local/base\nARG TAG\nARG BOTH=$BASE-$TAG\n\
                    FROM --platform=$BUILDPLATFORM ${BASE}:${TAG:-latest}";
        let mut spec = DockerfileSpec::default();
        let base = |spec: &DockerfileSpec| plan_with(text, spec).unwrap().stages.remove(0).base;
        assert_eq!(base(&spec), Base::Image("local/base:latest".to_owned()));
        for (name, value) in [("TAG", "3"), ("other", "x"), ("https_proxy", "x")] {
            spec.build_args.insert(name.to_owned(), value.to_owned());
        }
        assert_eq!(base(&spec), Base::Image("local/base:3".to_owned()));
        let plan = plan_with(text, &spec).unwrap();
        assert_eq!(plan.unused, ["other"]);
        assert_eq!(plan.global["BOTH"], "local/base-3");
    }

    #[test]
    fn what_cannot_be_built_is_said_with_its_line_and_instruction() {
        for (text, expected) in [
            ("", "Dockerfile: there is no FROM"),
            ("RUN x", "Dockerfile line 1, RUN: only ARG may"),
            (
                "FROM a\n\nFETCH x",
                "Dockerfile line 3, FETCH: there is no such instruction",
            ),
            (
                "FROM a\nONBUILD RUN x",
                "line 2, ONBUILD: this instruction is not supported",
            ),
            ("FROM a b", "line 1, FROM: it takes"),
            ("FROM $nothing", "line 1, FROM: the name"),
            ("FROM --platform=linux/s390x a", "platform linux/s390x"),
            (
                "FROM a AS x\nFROM b AS X",
                "line 2, FROM: there is a stage \"x\" already",
            ),
            ("FROM a AS 1", "cannot be the name"),
            ("FROM a\nRUN", "line 2, RUN: its arguments are missing"),
            (
                "FROM a\nRUN --mount=type=secret,id=x y",
                "--mount=type=secret is not supported",
            ),
            (
                "FROM a\nRUN --security=insecure y",
                "--security is not supported",
            ),
            (
                "FROM a\nCOPY a",
                "COPY: it takes a source and a destination",
            ),
            ("FROM a\nCOPY a b c", "must end with /"),
            ("FROM a\nCOPY --from=0 a b", "not an earlier stage"),
            (
                "FROM a\nCOPY --from=$x a b",
                "variables are not substituted",
            ),
            ("FROM a\nCOPY --exclude=x a b", "--exclude is not supported"),
            ("FROM a\nADD --from=x a b", "--from is not supported"),
            (
                "FROM a\nADD https://x/y z",
                "ADD: https://x/y is not fetched",
            ),
            ("FROM a\nENV --x y", "--x is not supported"),
            ("FROM a\nENV x", "ENV: \"x\" has no value"),
            ("FROM a\nSHELL bash", "JSON list"),
        ] {
            let found = fault(text);
            assert!(found.contains(expected), "{text:?}: {found}");
            assert!(!found.contains('\n'));
        }
    }

    #[test]
    fn run_has_a_list_a_line_and_here_documents() {
        let commands = |text: &str| -> Vec<Command> {
            let plan = plan(&format!("FROM a\n{text}")).unwrap();
            let steps = plan.stages.into_iter().flat_map(|stage| stage.steps);
            let commands = steps.filter_map(|step| match step.action {
                Action::Run(command) => Some(command),
                _ => None,
            });
            commands.collect()
        };
        assert_eq!(
            commands(
                "RUN [\"a\", \"b c\"]\nRUN [ -e x ]\nRUN --mount=type=cache,target=/x y\n\
                 RUN <<EOF\na\nb\nEOF\nRUN <<-EOF\n\t#!/bin/awk -f\n\tx\n\tEOF\n\
                 RUN cat <<EOF >/a\nx $y\nEOF"
            ),
            [
                Command::Exec(vec!["a".to_owned(), "b c".to_owned()]),
                Command::Shell("[ -e x ]".to_owned()),
                Command::Shell("y".to_owned()),
                Command::Shell("a\nb\n".to_owned()),
                Command::Script("#!/bin/awk -f\nx\n".to_owned()),
                Command::Shell("cat <<EOF >/a\nx $y\nEOF".to_owned()),
            ]
        );
    }

    #[test]
    fn copy_takes_lists_and_here_documents() {
        let text = "FROM a\nCOPY [\"a b\", \"c/\"]\nCOPY <<one x <<two /etc/\n1\none\n2\ntwo\n";
        let plan = plan(text).unwrap();
        let [first, second] = &plan.stages[0].steps[..] else {
            panic!("{plan:?}");
        };
        let (Action::Copy(first), Action::Copy(second)) = (&first.action, &second.action) else {
            panic!("{plan:?}");
        };
        assert_eq!(
            (&first.sources[..], first.dest.as_str()),
            (&["a b".to_owned()][..], "c/")
        );
        assert_eq!(second.sources, ["x"]);
        let names = second.files.iter().map(|file| file.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["one", "two"]);
    }
}
