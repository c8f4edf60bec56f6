//! The warning before a compilation that takes hours. Pure.

use super::known_cache::cache_for;

/// The warning that the derivations `names` are compiled here; the binary caches at the addresses `used` do not have them.
pub(super) fn compile_warning(names: &[String], used: &[String]) -> String {
    let elsewhere = match cache_for(names, used) {
        Some(cache) => format!("use a cache that may have it ({}), or ", cache.flags()),
        None => String::new(),
    };
    let names = names.join(", ");
    format!(
        "not in the binary cache, so it is compiled here: {names}. That takes hours, and ten times as long under \
         emulation. To stop, press Ctrl-C. Then {elsewhere}use what is cached: a released nixpkgs, boot.kernelPackages = \
         pkgs.linuxPackages, and no overlays that change it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_may_have_the_kernel_is_offered() {
        const CACHE: &str = "https://nixos-raspberrypi.cachix.org";
        let names = ["linux_rpi-bcm2712-6.12.47-stable_20250916".to_owned()];
        let warning = |used: &str| compile_warning(&names, &[used.to_owned()]);
        let offered = warning("https://cache.nixos.org");
        assert!(offered.contains(&format!("--extra-substituters {CACHE}")));
        assert!(offered.contains(&names[0]));
        assert!(!warning(CACHE).contains("--extra-substituters"));
    }
}
