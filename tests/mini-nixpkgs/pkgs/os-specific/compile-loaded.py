"""Compiles every module that a boot with cloud-init loads. The result says nothing about times, so that it stays valid in a store."""
import importlib
import pkgutil
import py_compile
import sys
from pathlib import Path

import cloudinit.config

MODULES = [
    "cloudinit.cmd.main",
    "cloudinit.cmd.status",
    "cloudinit.config.schema",
    "cloudinit.distros.debian",
    "cloudinit.net.eni",
    "cloudinit.sources.DataSourceConfigDrive",
    "cloudinit.sources.DataSourceNoCloud",
    "cloudinit.sources.DataSourceNone",
    "jsonschema",
]
MODULES += [f"cloudinit.config.{module.name}" for module in pkgutil.iter_modules(cloudinit.config.__path__)]

for name in MODULES:
    importlib.import_module(name)

files = {getattr(module, "__file__", None) or "" for module in sys.modules.values()}
for file in sorted(files):
    # What is compiled has the hash of its source, which is another one where Nix builds under another name to compare results.
    if file.endswith(".py") and Path(file).is_relative_to(sys.prefix) and sys.prefix not in Path(file).read_text(encoding="utf-8"):
        py_compile.compile(file, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
