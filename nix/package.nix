{
  lib,
  rustPlatform,
  installShellFiles,
  makeBinaryWrapper,
  versionCheckHook,
  gitMinimal,
  openssh,
}:

let
  inherit ((lib.importTOML ../Cargo.toml).package)
    name
    version
    description
    repository
    ;
in
rustPlatform.buildRustPackage {
  pname = name;
  inherit version;

  # What the build reads and nothing else: a change of the tests or the docs must not rebuild it.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.lock
      ../Cargo.toml
      ../docs/completions
      ../docs/man
      ../src
    ];
  };

  # All from crates.io, by the checksums in the file: there is no hash to keep.
  cargoLock.lockFile = ../Cargo.lock;

  nativeBuildInputs = [
    installShellFiles
    makeBinaryWrapper
  ];

  # The tests are CI's. They want a Nix with a store of its own, sshd and the fixtures, and compiling them doubles the time of
  # a build, which users of the action's `install: nix` have on their own runner.
  doCheck = false;

  postInstall = ''
    installManPage docs/man/*.1
    installShellCompletion docs/completions/flake-herald.bash docs/completions/flake-herald.fish \
      docs/completions/_flake-herald
  '';

  # git commits nothing without a program of that name, and a runner's PATH may lack it and ssh (pushing, ssh-keygen for
  # signatures): these are what is found where there are no others. Nix is not among them: it must be the machine's, which
  # fits its daemon and its settings; nor is gpg, which belongs to its agent.
  postFixup = ''
    wrapProgram $out/bin/flake-herald --suffix PATH : ${
      lib.makeBinPath [
        gitMinimal
        openssh
      ]
    }
  '';

  doInstallCheck = true;
  nativeInstallCheckInputs = [ versionCheckHook ];

  meta = {
    inherit description;
    homepage = repository;
    changelog = "${repository}/src/branch/main/CHANGELOG.md";
    license = [
      lib.licenses.mit
      lib.licenses.asl20
    ];
    mainProgram = "flake-herald";
    platforms = lib.platforms.unix;
  };
}
