//! Attributes whose value is a list of words in every option that has them.

/// Each word is a string, and has neither a space nor a comma, but for parameters of the kernel, which may have commas.
pub(super) const LISTS_OF_WORDS: [&str; 11] = [
    "allowed-users",
    "availableKernelModules",
    "blacklistedKernelModules",
    "experimental-features",
    "extra-experimental-features",
    "extraGroups",
    "kernelModules",
    "kernelParams",
    "supportedFilesystems",
    "system-features",
    "trusted-users",
];
