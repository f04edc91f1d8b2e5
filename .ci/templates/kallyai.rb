class Kallyai < Formula
  desc "Have real phone calls made by the KallyAI service, from a shell or by an agent"
  homepage "@HOMEPAGE@"
  license "MIT"

  on_macos do
    on_arm do
      url "@URL aarch64-apple-darwin@"
      sha256 "@SHA256 aarch64-apple-darwin@"
    end
    on_intel do
      url "@URL x86_64-apple-darwin@"
      sha256 "@SHA256 x86_64-apple-darwin@"
    end
  end

  on_linux do
    on_arm do
      url "@URL aarch64-unknown-linux-musl@"
      sha256 "@SHA256 aarch64-unknown-linux-musl@"
    end
    on_intel do
      url "@URL x86_64-unknown-linux-musl@"
      sha256 "@SHA256 x86_64-unknown-linux-musl@"
    end
  end

  def install
    bin.install "kallyai"
    man1.install "kallyai.1"
    bash_completion.install "completions/kallyai.bash" => "kallyai"
    zsh_completion.install "completions/_kallyai"
    fish_completion.install "completions/kallyai.fish"
    pkgshare.install "skills"
  end

  test do
    call = "#{bin}/kallyai --sandbox -p +15551234567 -t 'Reserve a table for 4 at 8pm'"
    assert_match(/^success /, shell_output(call))
  end
end
