//! Goes through the stages and steps of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastvm_api::types::{SnapshotImportEventStatus as Status, SnapshotImportPhase as Phase};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::context::{Limits, prune, unpack};
use super::copy::Copying;
use super::parse::parse;
use super::pattern::{Ignore, clean};
use super::plan::{Action, Base, Command, Copy, Plan, Stage, Step, is_folder, is_predefined};
use super::root::{Found, Look, Owner, Root};
use super::run::{NotRun, run};
use super::words::Lex;
use super::{BuildError, DockerfileSpec, Fault, one_line};
use crate::images::{Image, ImageConfig, ImageError, Images, ImportEvent};
use crate::sandbox::{ExecSpec, Host, LaunchSpec, PATH, RootKind, Sandbox, Tree, owner_of};

/// Larger files are no Dockerfiles.
const MOST_DOCKERFILE_BYTES: u64 = 1024 * 1024;

/// What RUN is given to, unless SHELL says otherwise.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Builds the image that a Dockerfile of a context describes. The context is a zip archive, which
/// is only read.
///
/// A build that fails, is cancelled or dropped leaves no VM and no folder.
pub(crate) async fn build(
    context: &Path,
    spec: &DockerfileSpec,
    images: &Images,
    host: &Host,
    progress: impl Fn(ImportEvent) + Send + Sync,
    cancel: CancellationToken,
) -> Result<Image, BuildError> {
    let build = Build {
        spec,
        images,
        host,
        progress: &progress,
        cancel: &cancel,
        context: Arc::new(images.place()),
    };
    let built = build.run(context).await;
    if let Err(BuildError::Server { doing, source }) = &built {
        tracing::error!(doing, error = %source, "a build failed");
    }
    built
}

struct Build<'a> {
    spec: &'a DockerfileSpec,
    images: &'a Images,
    host: &'a Host,
    progress: &'a (dyn Fn(ImportEvent) + Send + Sync),
    cancel: &'a CancellationToken,
    /// Where the context is unpacked.
    context: Arc<Tree>,
}

/// A stage that is ready.
#[derive(Clone)]
struct Built {
    image: Image,
    shell: Vec<String>,
    /// Values of its ARGs, which stages that are based on it have, too.
    args: BTreeMap<String, String>,
}

impl Build<'_> {
    async fn run(&self, archive: &Path) -> Result<Image, BuildError> {
        self.tell(Phase::FetchContext, Status::Started, None);
        let text = self.open_context(archive).await?;
        self.tell(Phase::FetchContext, Status::Completed, None);
        self.tell(Phase::Build, Status::Started, None);
        let fault = |fault: Fault| fault.in_file(&self.spec.path);
        let plan = parse(&text).and_then(|parsed| Plan::new(parsed, self.spec));
        let plan = plan.map_err(fault)?;
        for name in &plan.unused {
            self.say(format!(
                "warning: no ARG asks for the build argument {name}"
            ));
        }
        let mut built = BTreeMap::new();
        for index in plan.needed() {
            let stage = self.stage(&plan, index, &built).await?;
            built.insert(index, stage);
        }
        // The target is one of those that are needed.
        let target = built.remove(&plan.target).map(|built| built.image);
        let image = target.ok_or_else(|| fault(Fault::of_file("there is nothing to build")))?;
        self.tell(Phase::Build, Status::Completed, None);
        Ok(image)
    }

    fn tell(&self, phase: Phase, status: Status, message: Option<String>) {
        (self.progress)(ImportEvent {
            phase,
            status,
            message,
        });
    }

    fn say(&self, message: String) {
        self.tell(Phase::Build, Status::Started, Some(message));
    }

    /// Unpacks the context, without what it says is to be ignored; gives the Dockerfile.
    async fn open_context(&self, archive: &Path) -> Result<String, BuildError> {
        let (archive, cancel) = (archive.to_owned(), self.cancel.clone());
        let (context, path) = (Arc::clone(&self.context), self.spec.path.clone());
        let opened = spawn_blocking(move || {
            unpack(&archive, context.path(), Limits::default(), &cancel)?;
            read_context(context.path(), &path)
        });
        opened
            .await
            .map_err(|error| BuildError::server("unpack the context", error))?
    }

    /// Builds a stage from those before it.
    async fn stage(
        &self,
        plan: &Plan,
        index: usize,
        built: &BTreeMap<usize, Built>,
    ) -> Result<Built, BuildError> {
        // The plan has all stages that it needs.
        let Some(stage) = plan.stages.get(index) else {
            return Err(Fault::of_file("a stage is missing").in_file(&self.spec.path));
        };
        let label = stage
            .name
            .clone()
            .unwrap_or_else(|| format!("stage {index}"));
        let steps = stage.steps.len() + 1;
        self.say(format!("[{label} 1/{steps}] {}", one_line(&stage.text)));
        let begun = self.begin(plan, stage, built).await;
        let mut work = begun.map_err(|stop| {
            stop.at(|what| Fault::new(stage.line, "FROM", what), &self.spec.path)
        })?;
        for (number, step) in stage.steps.iter().enumerate() {
            if self.cancel.is_cancelled() {
                return Err(BuildError::Cancelled);
            }
            let number = number + 2;
            self.say(format!(
                "[{label} {number}/{steps}] {}",
                one_line(&step.text)
            ));
            let done = work.step(step).await;
            done.map_err(|stop| stop.at(|what| step.fault(what), &self.spec.path))?;
        }
        Ok(work.built)
    }

    async fn begin<'b>(
        &'b self,
        plan: &'b Plan,
        stage: &Stage,
        built: &'b BTreeMap<usize, Built>,
    ) -> Result<Work<'b>, Stop> {
        let (base, is_own) = match &stage.base {
            Base::Scratch => (self.scratch()?, true),
            base => (self.base(base, built).await?, false),
        };
        Ok(Work {
            build: self,
            plan,
            earlier: built,
            built: base,
            is_own,
            has_own_cmd: false,
        })
    }

    fn scratch(&self) -> Result<Built, Stop> {
        let tree = self.images.place();
        // Not with the rights that the server's umask leaves.
        let made = DirBuilder::new().mode(0o755).create(tree.path());
        made.map_err(|error| BuildError::server("make a folder", error))?;
        Ok(Built::of(Image {
            tree: Arc::new(tree),
            config: ImageConfig::default(),
            has_own_root: true,
        }))
    }

    async fn base(&self, base: &Base, built: &BTreeMap<usize, Built>) -> Result<Built, Stop> {
        match base {
            Base::Stage(index) => {
                let stage = built.get(index).cloned();
                stage.ok_or_else(|| Stop::Fault("this stage is not built".to_owned()))
            }
            Base::Scratch => self.scratch(),
            Base::Image(name) => match self.images.find(name, None, self.cancel).await {
                Ok(image) => Ok(Built::of(image)),
                Err(ImageError::Cancelled) => Err(BuildError::Cancelled.into()),
                Err(ImageError::Io(error)) => {
                    Err(BuildError::server("read an image", error).into())
                }
                Err(error) => Err(Stop::Fault(error.to_string())),
            },
        }
    }
}

impl Built {
    fn of(image: Image) -> Self {
        Self {
            image,
            shell: SHELL.map(str::to_owned).into(),
            args: BTreeMap::new(),
        }
    }
}

/// Why a step was not done.
enum Stop {
    /// The Dockerfile or the context is to blame: what is wrong.
    Fault(String),
    Build(BuildError),
}

impl Stop {
    fn at(self, fault: impl FnOnce(String) -> Fault, file: &str) -> BuildError {
        match self {
            Self::Fault(what) => fault(what).in_file(file),
            Self::Build(error) => error,
        }
    }
}

impl From<String> for Stop {
    fn from(what: String) -> Self {
        Self::Fault(what)
    }
}

impl From<BuildError> for Stop {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

/// Reads the Dockerfile, and deletes what the context says is to be ignored.
fn read_context(folder: &Path, dockerfile: &str) -> Result<String, BuildError> {
    let fault = |what: String| BuildError::Diagnostic(one_line(&what));
    if dockerfile.starts_with('/') || dockerfile.split('/').any(|part| part == "..") {
        return Err(fault(format!(
            "the path {dockerfile:?} of the Dockerfile leads out of the context"
        )));
    }
    let server = |error| BuildError::server("read the context", error);
    let root = Root::open(folder).map_err(server)?;
    let read = |path: &str| {
        let path: PathBuf = clean(path).iter().collect();
        let text = root.read(&path, MOST_DOCKERFILE_BYTES);
        text.map_err(|error| fault(format!("{}: {error}", path.display())))
    };
    let text = read(dockerfile)?;
    let text = text.ok_or_else(|| fault(format!("the context has no file {dockerfile}")))?;
    let ignore = match read(&format!("{dockerfile}.dockerignore"))? {
        Some(own) => Some(own),
        None => read(".dockerignore")?,
    };
    if let Some(ignore) = ignore {
        prune(folder, &Ignore::parse(&ignore)).map_err(server)?;
    }
    Ok(text)
}

/// A stage that is being built.
struct Work<'a> {
    build: &'a Build<'a>,
    plan: &'a Plan,
    earlier: &'a BTreeMap<usize, Built>,
    /// What it is so far.
    built: Built,
    /// Whether the files are those of this stage alone. Until they are changed, they are its base's.
    is_own: bool,
    /// Whether CMD was in this stage.
    has_own_cmd: bool,
}

impl Work<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), Stop> {
        match &step.action {
            Action::Arg(args) => self.declare(args)?,
            Action::Env(pairs) => {
                let pairs = self.pairs(pairs)?;
                self.config().env.extend(pairs);
            }
            Action::Label(pairs) => {
                let pairs = self.pairs(pairs)?;
                self.config().labels.extend(pairs);
            }
            Action::Workdir(text) => self.workdir(text).await?,
            Action::User(text) => {
                let user = self.substitute(text)?;
                if user.is_empty() {
                    return Err(Stop::Fault("the user is empty".to_owned()));
                }
                self.config().user = Some(user);
            }
            Action::Shell(shell) => self.built.shell.clone_from(shell),
            Action::Cmd(command) => {
                self.config().cmd = self.argv(command);
                self.has_own_cmd = true;
            }
            Action::Entrypoint(command) => {
                self.config().entrypoint = self.argv(command);
                // That of the base was for the entrypoint of the base.
                if !self.has_own_cmd {
                    self.config().cmd.clear();
                }
            }
            Action::Expose(words) => {
                let ports = self.ports(words)?;
                self.config().exposed_ports.extend(ports);
            }
            Action::Copy(copy) => self.copy(copy).await?,
            Action::Run(command) => self.run(command).await?,
            Action::Nothing(None) => {}
            Action::Nothing(Some(why)) => self.warn(why),
        }
        Ok(())
    }

    fn config(&mut self) -> &mut ImageConfig {
        &mut self.built.image.config
    }

    fn warn(&self, what: &str) {
        self.build.say(format!("warning: {}", one_line(what)));
    }

    /// What a variable stands for in an instruction.
    fn value(&self, name: &str) -> Option<String> {
        let env = &self.built.image.config.env;
        let set = env.get(name).or_else(|| self.built.args.get(name)).cloned();
        set.or_else(|| (name == "PATH").then(|| PATH.to_owned()))
    }

    fn substitute(&self, text: &str) -> Result<String, String> {
        let get = |name: &str| self.value(name);
        Lex::new(self.plan.escape, &get).word(text)
    }

    /// All of one instruction have the values from before it.
    fn pairs(&self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
        let pair = |(name, value): &(String, String)| {
            Ok((self.substitute(name)?, self.substitute(value)?))
        };
        pairs.iter().map(pair).collect()
    }

    fn declare(&mut self, args: &[(String, Option<String>)]) -> Result<(), String> {
        for (name, default) in args {
            let given = self.build.spec.build_args.get(name).cloned();
            let value = match (given, default) {
                (Some(given), _) => Some(given),
                (None, Some(default)) => Some(self.substitute(default)?),
                (None, None) => self.plan.global.get(name).cloned(),
            };
            if let Some(value) = value {
                self.built.args.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    fn argv(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(argv) => argv.clone(),
            Command::Shell(line) | Command::Script(line) => self.shell(line),
        }
    }

    fn shell(&self, line: &str) -> Vec<String> {
        let shell = self.built.shell.iter();
        shell.cloned().chain([line.to_owned()]).collect()
    }

    fn ports(&self, words: &[String]) -> Result<BTreeSet<String>, String> {
        let mut ports = BTreeSet::new();
        for word in words {
            for port in self.substitute(word)?.split_whitespace() {
                ports.extend(ports_of(port)?);
            }
        }
        Ok(ports)
    }

    /// An absolute path. A `/` at the end stays.
    fn absolute(&self, path: &str) -> String {
        let workdir = self.built.image.config.workdir.as_deref();
        let around = match path.starts_with('/') {
            true => "",
            false => workdir.unwrap_or("/"),
        };
        let is_folder = if is_folder(path) { "/" } else { "" };
        let parts = clean(&format!("{around}/{path}")).join("/");
        match parts.is_empty() {
            true => "/".to_owned(),
            false => format!("/{parts}{is_folder}"),
        }
    }

    async fn workdir(&mut self, text: &str) -> Result<(), Stop> {
        let path = self.substitute(text)?;
        if path.is_empty() {
            return Err(Stop::Fault("the path is empty".to_owned()));
        }
        let path = match self.absolute(&path).trim_end_matches('/') {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        self.config().workdir = Some(path.clone());
        let inner = below_root(&path);
        let is_there = {
            let inner = inner.clone();
            self.in_root(move |root| root.find(&inner)).await?
        };
        match is_there {
            Ok(Some(Found::Folder(_))) => return Ok(()),
            _ if self.is_of_host(&path) => return Ok(()),
            _ => {}
        }
        let owner = match self.built.image.config.user.clone() {
            Some(user) => self.owner(&user)?,
            None => (0, 0),
        };
        self.own_root().await?;
        let made = self.in_root(move |root| root.folder(&inner, Look::of_folder(owner)));
        let made = made.await?.map(drop);
        made.map_err(|error| Stop::Fault(format!("{path} cannot be made: {error}")))
    }

    /// Does something with the files, on a blocking thread.
    async fn in_root<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Root) -> T + Send + 'static,
    ) -> Result<T, Stop> {
        let tree = Arc::clone(&self.built.image.tree);
        let done = spawn_blocking(move || Root::open(tree.path()).map(|root| work(&root)));
        Ok(flat(done.await)
            .map_err(|error| BuildError::server("open the files of a stage", error))?)
    }

    /// Makes the files those of this stage alone, so that they can be changed.
    async fn own_root(&mut self) -> Result<(), Stop> {
        if self.is_own {
            return Ok(());
        }
        let base = Arc::clone(&self.built.image.tree);
        let own = Arc::new(self.build.images.place());
        let to = Arc::clone(&own);
        let copied = spawn_blocking(move || base.copy_to(to.path()));
        flat(copied.await)
            .map_err(|error| BuildError::server("copy the files of a base", error))?;
        self.built.image.tree = own;
        self.is_own = true;
        Ok(())
    }

    /// Whether VMs see a part of the host in this place: nothing can be put there.
    fn is_of_host(&self, path: &str) -> bool {
        !self.built.image.has_own_root && self.build.host.shows(Path::new(path))
    }

    /// User and group of a name that the files of this stage know.
    fn owner(&self, name: &str) -> Result<Owner, String> {
        if let Ok(number) = name.parse() {
            // As Docker has it, whoever that is.
            return Ok((number, number));
        }
        owner_of(self.built.image.tree.path(), name).map_err(|error| error.to_string())
    }

    async fn copy(&mut self, copy: &Copy) -> Result<(), Stop> {
        let from = match &copy.from {
            None => (Arc::clone(&self.build.context), true),
            Some(base) => {
                let image = self.build.base(base, self.earlier).await?.image;
                (image.tree, image.has_own_root)
            }
        };
        let (from, has_own_root) = from;
        let host = |has_own_root: bool| (!has_own_root).then(|| self.build.host.clone());
        let mut copying = self.copying(copy)?;
        copying.host_in_source = host(has_own_root);
        copying.host_in_dest = host(self.built.image.has_own_root);
        let of_host = |path: &&String| {
            let path = Path::new("/").join(clean(path).join("/"));
            !has_own_root && self.build.host.shows(&path)
        };
        if let Some(path) = copying.sources.iter().find(of_host) {
            return Err(Stop::Fault(format!(
                "{path} is the host's there: it cannot be copied"
            )));
        }
        self.own_root().await?;
        let cancel = self.build.cancel.clone();
        let copied = self.in_root(move |to| {
            let root = Root::open(from.path()).map_err(|error| error.to_string())?;
            copying.run(&root, to, &cancel)
        });
        let copied = copied.await?;
        if self.build.cancel.is_cancelled() {
            return Err(BuildError::Cancelled.into());
        }
        for warning in copied? {
            self.warn(&warning);
        }
        Ok(())
    }

    fn copying(&self, copy: &Copy) -> Result<Copying, String> {
        let get = |name: &str| self.value(name);
        let sources = copy.sources.iter().map(|source| self.substitute(source));
        let files = copy.files.iter().map(|file| {
            let content = file.content();
            let content = match file.expands {
                true => Lex::of_heredoc(&get).word(&content)?,
                false => content,
            };
            Ok((file.name.clone(), content))
        });
        let dest = self.substitute(&copy.dest)?;
        if dest.is_empty() {
            return Err("the destination is empty".to_owned());
        }
        let chown = copy.chown.as_deref().map(|chown| self.substitute(chown));
        let chmod = copy.chmod.as_deref().map(|chmod| self.substitute(chmod));
        Ok(Copying {
            sources: sources.collect::<Result<_, _>>()?,
            files: files.collect::<Result<_, String>>()?,
            dest: self.absolute(&dest),
            owner: chown
                .transpose()?
                .map(|name| self.owner(&name))
                .transpose()?,
            mode: chmod.transpose()?.map(|mode| mode_of(&mode)).transpose()?,
            keeps_owners: copy.from.is_some(),
            unpacks: copy.unpacks,
            host_in_source: None,
            host_in_dest: None,
        })
    }

    /// Runs a command in a VM of its own, as which the files of the stage are for that time.
    async fn run(&mut self, command: &Command) -> Result<(), Stop> {
        self.own_root().await?;
        let script = self.put_script(command)?;
        let argv = match &script {
            Some(name) => vec![format!("/{name}")],
            None => self.argv(command),
        };
        let tree = Arc::clone(&self.built.image.tree);
        let vm = self.launch(tree.path()).await?;
        let ran = self.run_in(&vm, argv).await;
        let server = |error| BuildError::server("end the VM of a build", error);
        let ended = vm.kill().await.map_err(server);
        let back = ran.and_then(|()| {
            ended?;
            Ok(fs::rename(vm.root(), tree.path()).map_err(server)?)
        });
        let removed = vm.remove().await.map_err(server);
        back?;
        removed?;
        if let Some(name) = script {
            // A command may have taken it away.
            let _ = fs::remove_file(tree.path().join(name));
        }
        Ok(())
    }

    /// A here-document that names its interpreter is run as a file, which is new in `/`.
    fn put_script(&self, command: &Command) -> Result<Option<String>, Stop> {
        let Command::Script(text) = command else {
            return Ok(None);
        };
        let name = format!(".build-{}", Uuid::new_v4().simple());
        let look = Look {
            mode: 0o755,
            ..Look::of_folder((0, 0))
        };
        let root = Root::open(self.built.image.tree.path());
        let put = root.and_then(|root| root.put(Path::new(&name), text.as_bytes(), look));
        put.map_err(|error| BuildError::server("write a script", error))?;
        Ok(Some(name))
    }

    /// Launches a VM with a folder as its root directory; the folder moves there. No VM has the
    /// name of it, and both are on one file system.
    async fn launch(&self, folder: &Path) -> Result<Sandbox, Stop> {
        let id = Uuid::new_v4().to_string();
        let server = |doing| move |error: io::Error| BuildError::server(doing, error);
        // Nothing is awaited between this and the launch, which looks after the folder.
        fs::rename(folder, self.build.host.root_of(&id))
            .map_err(server("move the files of a stage"))?;
        let mut spec = LaunchSpec::new(id, "build");
        spec.root = match self.built.image.has_own_root {
            true => RootKind::Own,
            false => RootKind::Host,
        };
        let launched = self.build.host.launch(spec).await;
        Ok(launched.map_err(|error| BuildError::server("launch a VM for the build", error))?)
    }

    async fn run_in(&self, vm: &Sandbox, argv: Vec<String>) -> Result<(), Stop> {
        let config = &self.built.image.config;
        let mut spec = ExecSpec::new(argv);
        let given = self.build.spec.build_args.iter();
        let predefined = given.filter(|(name, _)| is_predefined(name));
        let variables = predefined.chain(&self.built.args).chain(&config.env);
        spec.env = variables
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        spec.cwd = Some(config.workdir.clone().unwrap_or_else(|| "/".to_owned()));
        spec.user = config.user.clone();
        let say = |text| self.build.say(text);
        match run(vm, spec, &say, self.build.cancel).await {
            Ok(()) => Ok(()),
            Err(NotRun::Cancelled) => Err(BuildError::Cancelled.into()),
            Err(NotRun::Failed(what)) => Err(Stop::Fault(what)),
        }
    }
}

fn flat<T>(done: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn below_root(path: &str) -> PathBuf {
    clean(path).iter().collect()
}

fn mode_of(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok();
    let mode = mode.filter(|mode| *mode <= 0o7777 && text.len() <= 5);
    mode.ok_or_else(|| {
        format!("--chmod={text} is not supported: it takes an octal number such as 755")
    })
}

/// `80`, `80/udp` or `8000-8010`, each with its protocol.
fn ports_of(text: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("{text} is no port");
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(wrong());
    }
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |text: &str| text.parse::<u16>().ok().filter(|number| *number > 0);
    let (first, last) = number(first).zip(number(last)).ok_or_else(wrong)?;
    if first > last {
        return Err(wrong());
    }
    let ports = first..=last;
    Ok(ports.map(|port| format!("{port}/{protocol}")).collect())
}
