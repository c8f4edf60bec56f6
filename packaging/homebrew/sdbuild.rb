# The formula of a Homebrew tap, for Linux. scripts/release fills it in.
class Sdbuild < Formula
  desc "Turns an sd-card.nix into a NixOS SD card image, with Docker or Podman"
  homepage "@REPOSITORY@"
  version "@VERSION@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on :linux

  on_intel do
    url "@REPOSITORY@/releases/download/v@VERSION@/sdbuild-v@VERSION@-x86_64-unknown-linux-musl.tar.gz"
    sha256 "@SHA256_X86_64@"
  end
  on_arm do
    url "@REPOSITORY@/releases/download/v@VERSION@/sdbuild-v@VERSION@-aarch64-unknown-linux-musl.tar.gz"
    sha256 "@SHA256_AARCH64@"
  end

  def install
    bin.install "sdbuild"
    man1.install Dir["man/*.1"]
    bash_completion.install "completions/sdbuild.bash" => "sdbuild"
    zsh_completion.install "completions/_sdbuild"
    fish_completion.install "completions/sdbuild.fish"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/sdbuild --version")
  end
end
