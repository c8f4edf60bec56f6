"""Reads derivations, and chooses which of them are built and which outputs of others they need."""
import functools
import json
import re

# What is never built here, whatever it looks like: programs in C and Rust, and documentation, which is in the cache in any case.
NEVER = re.compile(
    r"security-wrapper-|make-binary-wrapper-hook|^json2x-|stdenv-linux|nixos-manual|options\.json|nixos-help|glibc-locales"
    r"|^debian-root$"
)
# What is built here although a cache could have it: NixOS's own.
ALWAYS = re.compile(
    r"modules-shrunk|-reproducible$|-on-one-processor$|hwdb|sdbuild-|-rules$|sudoers|^initrd|system-path|make-shell-wrapper"
    r"|\.conf$|\.rules$"
)


class Derivation:
    """A derivation as `nix derivation show` prints it."""

    def __init__(self, path, text):
        self.path, self.name, self.system = path, text["name"], text["system"]
        self.builder, self.args, self.env = text["builder"], text["args"], text["env"]
        self.outputs = {name: out.get("path") for name, out in text["outputs"].items()}
        self.inputs = {drv: how["outputs"] for drv, how in text["inputDrvs"].items()}
        # Structured attributes are one variable.
        self.variables = json.loads(self.env["__json"]) if "__json" in self.env else self.env

    @functools.cached_property
    def text(self):
        """Everything that its builder is told."""
        return "\n".join([*self.args, *map(str, self.env.values())])

    def has(self, name):
        """Whether a variable is set and not empty."""
        return bool(self.variables.get(name))

    @property
    def pname(self):
        """The name without version and platform, in lower case."""
        name = self.variables.get("pname") or self.name
        name = re.sub(r"-(aarch64|x86_64)-unknown-linux-\w+", "", name)
        return re.split(r"-(?=v?\d)", name)[0].lower()

    @property
    def arch(self):
        """Debian's name of the architecture."""
        return "amd64" if self.system == "x86_64-linux" else "arm64"

    def is_glue(self):
        """Whether it is a command on what is there already, and no package."""
        commands = any(self.has(name) for name in ("buildCommand", "buildCommandPath", "text"))
        commands = commands or "buildCommand" in str(self.variables.get("passAsFile", ""))
        return commands and not self.has("src") and not self.has("srcs")


def load(file):
    """The derivations of a graph by their paths."""
    with open(file, encoding="utf-8") as text:
        return {path: Derivation(path, one) for path, one in json.load(text).items()}


def chosen(graphs, others):
    """The derivations that are built, by path, and what they need of others: (derivation, output) by output path."""
    cached = {path for graph in others for path, one in graph.items() if one.variables.get("allowSubstitutes") not in ("", False)}
    names = set()
    while True:
        built, needed = {}, {}
        for graph in graphs:
            ours = dependents(graph)
            cached_here = {path for path in cached - ours if path not in graph or graph[path].name not in names}
            walk(graph, ours, cached_here, built, needed)
        # What one build makes, every other makes too, although a cache could have it: natively and under emulation, in each
        # configuration.
        more = {one.name for one in built.values() if one.is_glue()} - names
        if not more:
            return built, needed
        names |= more


def walk(graph, ours, cached, built, needed):
    """Goes down from what nothing in the graph uses, as far as is built, and adds to `built` and `needed`."""
    used = {drv for one in graph.values() for drv in one.inputs}
    queue = [path for path in graph if path not in used]
    seen = set(queue)
    for path in queue:
        built[path] = graph[path]
        for drv, outputs in graph[path].inputs.items():
            if drv not in ours and stands_in(graph[drv], cached, graph):
                needed |= outputs_of(graph[drv], outputs)
            elif drv not in seen:
                seen.add(drv)
                queue.append(drv)
    # What the text of `stdenv` names.
    for one, _ in list(needed.values()):
        if one.name == "stdenv-linux" and one.path in graph and one.path not in ours:
            for drv, outputs in one.inputs.items():
                needed |= outputs_of(graph[drv], outputs)


def outputs_of(one, outputs):
    return {one.outputs[name]: (one, name) for name in outputs}


def dependents(graph):
    """What is built with sdbuild's own derivations: no cache has it."""
    users, queue = {}, [path for path, one in graph.items() if one.name.startswith("sdbuild-")]
    for path, one in graph.items():
        for drv in one.inputs:
            users.setdefault(drv, []).append(path)
    seen = set(queue)
    for path in queue:
        for user in users.get(path, []):
            if user not in seen:
                seen.add(user)
                queue.append(user)
    return seen


def stands_in(one, cached, graph):
    """Whether the outputs of a derivation come from the cache."""
    if NEVER.search(one.name) or one.builder.startswith("builtin:") or one.has("outputHash"):
        return True
    # A hook of nixpkgs is a file of its own tree with some paths in it.
    if one.is_glue() and "/nix-support/setup-hook" in one.text:
        return False
    if one.path in cached and not ALWAYS.search(one.name):
        return True
    if one.is_glue() or ALWAYS.search(one.name):
        return False
    # Packages are made of sources, or of another package: a wheel out of several.
    sources = " ".join(str(one.variables.get(name, "")) for name in ("src", "srcs"))
    made_of = (graph[drv] for drv in one.inputs if any(path and path in sources for path in graph[drv].outputs.values()))
    return any(stands_in(source, cached, graph) for source in made_of)
