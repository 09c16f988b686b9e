{
  description = "Says what a flake update changes on every NixOS host, and keeps one pull request open with the answer";

  inputs.nixpkgs.url = "github:nixos/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      # Not x86_64-darwin, which nixpkgs gives up. aarch64-darwin is expected to build; nobody has tried.
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      forEachSystem = f: nixpkgs.lib.genAttrs systems (system: f system nixpkgs.legacyPackages.${system});
    in
    {
      packages = forEachSystem (
        system: pkgs: rec {
          flake-herald = pkgs.callPackage ./nix/package.nix { };
          default = flake-herald;
        }
      );

      apps = forEachSystem (
        system: pkgs: {
          default = {
            type = "app";
            program = nixpkgs.lib.getExe self.packages.${system}.default;
            meta.description = "Says what a flake update changes on every NixOS host";
          };
        }
      );

      checks = forEachSystem (system: pkgs: { package = self.packages.${system}.default; });

      # What nixpkgs can give of what scripts/test and .ci/run want: sshd has to be at /usr/sbin/sshd. Nix is the machine's own,
      # or what scripts/ensure-nix gets.
      devShells = forEachSystem (
        system: pkgs: {
          default = pkgs.mkShell {
            packages = [
              pkgs.cargo
              pkgs.clippy
              pkgs.curl
              pkgs.git
              pkgs.gnupg
              pkgs.openssh
              pkgs.python3
              pkgs.rustc
              pkgs.rustfmt
              pkgs.shellcheck
              pkgs.wget
            ];
          };
        }
      );

      formatter = forEachSystem (system: pkgs: pkgs.nixfmt-tree);
    };
}
