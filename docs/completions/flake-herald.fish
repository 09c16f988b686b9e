# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_flake_herald_global_optspecs
    string join \n h/help V/version
end

function __fish_flake_herald_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_flake_herald_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_flake_herald_using_subcommand
    set -l cmd (__fish_flake_herald_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c flake-herald -n "__fish_flake_herald_needs_command" -s h -l help -d 'Print help'
complete -c flake-herald -n "__fish_flake_herald_needs_command" -s V -l version -d 'Print version'
complete -c flake-herald -n "__fish_flake_herald_needs_command" -f -a "run" -d 'Update the lock, report what changes on every host, publish a pull request'
complete -c flake-herald -n "__fish_flake_herald_needs_command" -f -a "report" -d 'Report what an update changes on every host; publish nothing'
complete -c flake-herald -n "__fish_flake_herald_needs_command" -f -a "publish" -d 'Merge reports made elsewhere, check them, and publish them as one pull request'
complete -c flake-herald -n "__fish_flake_herald_needs_command" -f -a "diff" -d 'Say what changes from one closure to another'
complete -c flake-herald -n "__fish_flake_herald_needs_command" -f -a "snapshot" -d 'Write a closure into a file that `diff` takes in its place'
complete -c flake-herald -n "__fish_flake_herald_needs_command" -f -a "hosts" -d 'List the hosts that would be built'
complete -c flake-herald -n "__fish_flake_herald_needs_command" -f -a "lock" -d 'Stage the new lock into a file; exit 2 if it does not change'
complete -c flake-herald -n "__fish_flake_herald_needs_command" -f -a "config" -d 'Show the merged configuration and where each value comes from'
complete -c flake-herald -n "__fish_flake_herald_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l flake -d 'Directory of the flake [default: .]' -r -f -a "(__fish_complete_directories)"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l config -d 'Configuration file [default: flake-herald.toml beside flake.nix]' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l submodules -d 'Whether the flake sees its git submodules' -r -f -a "auto\t''
on\t''
off\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l host -d 'Only these hosts, as NAME or kind:NAME; * ? [ab] {a,b} match, \\[ is a bracket; a plain name beats excludes' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l exclude-host -d 'Leave these hosts out, besides *-minimal' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l no-default-excludes -d 'Do not leave out *-minimal' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l kind -d 'Kinds of hosts, instead of nixos' -r -f -a "nixos\t''
darwin\t''
home\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l attr -d 'Also the derivation at this attribute path, or each in a set of them' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l input -d 'Update only these inputs' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l exclude-input -d 'Update all inputs but these' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l on-unreachable -d 'Fail on an input that cannot be reached, or keep its lock' -r -f -a "fail\t''
keep\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l skip-update -d 'Compare the commit\'s flake.lock with the working tree\'s' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l lock -d 'Compare with this lock instead of updating; for publish: the lock that was reported on' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l write-lock -d 'Write the new lock into the working tree' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l no-build -d 'Report only what evaluation knows' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l eval-jobs -d 'Evaluations at the same time' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l eval-batch -d 'Hosts evaluated together in one process' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l eval-memory -d 'Most memory that evaluations may take together [default: three quarters of what is free]' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l max-jobs -d 'Builds at the same time on this machine' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l run-timeout -d 'Longest time for the whole run, as 90s, 30m, 2h' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l build-timeout -d 'Longest time for one build' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l min-free -d 'Stop building below this much free disk space, as 20GiB' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l accept-flake-config -d 'Let Nix apply the flake\'s nixConfig' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l pass-env -d 'Let Nix and git see this variable though it holds a secret' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l option -d 'Setting handed to Nix' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l nix-access-token-file -d 'File with access-tokens for Nix\'s fetchers' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l store-reader -d 'How closures are read from the store (database: not yet)' -r -f -a "auto\t''
command\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l format -d 'Format on stdout [default: text on a terminal, else markdown]' -r -f -a "text\t''
markdown\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l output-dir -d 'Write report.md, report.json, report.txt, logs and flake.lock here' -r -f -a "(__fish_complete_directories)"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l fail-on -d 'Which failing hosts give exit code 4' -r -f -a "broken\t''
any\t''
never\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l log-format -d 'Format of the log on stderr' -r -f -a "text\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -s q -l quiet -d 'Say only warnings and errors on stderr' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l dry-run -d 'Stop after the report: no commit, no push, no pull request' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l forge -d 'Kind of forge' -r -f -a "auto\t''
forgejo\t''
gitea\t''
github\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l server-url -d 'The forge\'s address' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l api-url -d 'The address of the forge\'s API' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l repository -d 'The repository on the forge' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l token-file -d 'File with the forge\'s token, instead of FLAKE_HERALD_TOKEN' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l base -d 'Branch that the pull request goes to' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l branch -d 'Branch of the pull request [default: auto/flake-update]' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l remote -d 'Git remote that is pushed to' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l title -d 'Title of the pull request' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l body-template -d 'Template of the pull request\'s body' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l commit-message -d 'Message of the commit' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l author -d 'Author of the commit' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l signoff -d 'Add a Signed-off-by line to the commit' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l sign -d 'How to sign the commit' -r -f -a "auto\t''
ssh\t''
gpg\t''
off\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l signing-key-file -d 'Key that signs the commit' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l rebase-when -d 'When to put the branch on top of the base again' -r -f -a "conflicted\t''
behind\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l hold-label -d 'Label that stops us [default: flake-herald:hold]' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l keep-obsolete -d 'Leave a pull request open that has become needless' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -l publish-unchanged -d 'Publish also when no host changes' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -s v -l verbose -d 'Say more on stderr; twice for everything'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand run" -s h -l help -d 'Print help'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l flake -d 'Directory of the flake [default: .]' -r -f -a "(__fish_complete_directories)"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l config -d 'Configuration file [default: flake-herald.toml beside flake.nix]' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l submodules -d 'Whether the flake sees its git submodules' -r -f -a "auto\t''
on\t''
off\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l host -d 'Only these hosts, as NAME or kind:NAME; * ? [ab] {a,b} match, \\[ is a bracket; a plain name beats excludes' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l exclude-host -d 'Leave these hosts out, besides *-minimal' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l no-default-excludes -d 'Do not leave out *-minimal' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l kind -d 'Kinds of hosts, instead of nixos' -r -f -a "nixos\t''
darwin\t''
home\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l attr -d 'Also the derivation at this attribute path, or each in a set of them' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l plan -d 'Take the scope from this list of hosts, as `hosts` wrote it' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l input -d 'Update only these inputs' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l exclude-input -d 'Update all inputs but these' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l on-unreachable -d 'Fail on an input that cannot be reached, or keep its lock' -r -f -a "fail\t''
keep\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l skip-update -d 'Compare the commit\'s flake.lock with the working tree\'s' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l lock -d 'Compare with this lock instead of updating; for publish: the lock that was reported on' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l write-lock -d 'Write the new lock into the working tree' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l no-build -d 'Report only what evaluation knows' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l eval-jobs -d 'Evaluations at the same time' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l eval-batch -d 'Hosts evaluated together in one process' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l eval-memory -d 'Most memory that evaluations may take together [default: three quarters of what is free]' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l max-jobs -d 'Builds at the same time on this machine' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l run-timeout -d 'Longest time for the whole run, as 90s, 30m, 2h' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l build-timeout -d 'Longest time for one build' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l min-free -d 'Stop building below this much free disk space, as 20GiB' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l accept-flake-config -d 'Let Nix apply the flake\'s nixConfig' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l pass-env -d 'Let Nix and git see this variable though it holds a secret' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l option -d 'Setting handed to Nix' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l nix-access-token-file -d 'File with access-tokens for Nix\'s fetchers' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l store-reader -d 'How closures are read from the store (database: not yet)' -r -f -a "auto\t''
command\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l format -d 'Format on stdout [default: text on a terminal, else markdown]' -r -f -a "text\t''
markdown\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l output-dir -d 'Write report.md, report.json, report.txt, logs and flake.lock here' -r -f -a "(__fish_complete_directories)"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l fail-on -d 'Which failing hosts give exit code 4' -r -f -a "broken\t''
any\t''
never\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -l log-format -d 'Format of the log on stderr' -r -f -a "text\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -s q -l quiet -d 'Say only warnings and errors on stderr' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -s v -l verbose -d 'Say more on stderr; twice for everything'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand report" -s h -l help -d 'Print help'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l flake -d 'Directory of the flake [default: .]' -r -f -a "(__fish_complete_directories)"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l config -d 'Configuration file [default: flake-herald.toml beside flake.nix]' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l submodules -d 'Whether the flake sees its git submodules' -r -f -a "auto\t''
on\t''
off\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l lock -d 'Compare with this lock instead of updating; for publish: the lock that was reported on' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l run-timeout -d 'Longest time for the whole run, as 90s, 30m, 2h' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l accept-flake-config -d 'Let Nix apply the flake\'s nixConfig' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l pass-env -d 'Let Nix and git see this variable though it holds a secret' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l option -d 'Setting handed to Nix' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l nix-access-token-file -d 'File with access-tokens for Nix\'s fetchers' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l format -d 'Format on stdout [default: text on a terminal, else markdown]' -r -f -a "text\t''
markdown\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l output-dir -d 'Write report.md, report.json, report.txt, logs and flake.lock here' -r -f -a "(__fish_complete_directories)"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l fail-on -d 'Which failing hosts give exit code 4' -r -f -a "broken\t''
any\t''
never\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l log-format -d 'Format of the log on stderr' -r -f -a "text\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -s q -l quiet -d 'Say only warnings and errors on stderr' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l forge -d 'Kind of forge' -r -f -a "auto\t''
forgejo\t''
gitea\t''
github\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l server-url -d 'The forge\'s address' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l api-url -d 'The address of the forge\'s API' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l repository -d 'The repository on the forge' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l token-file -d 'File with the forge\'s token, instead of FLAKE_HERALD_TOKEN' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l base -d 'Branch that the pull request goes to' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l branch -d 'Branch of the pull request [default: auto/flake-update]' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l remote -d 'Git remote that is pushed to' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l title -d 'Title of the pull request' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l body-template -d 'Template of the pull request\'s body' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l commit-message -d 'Message of the commit' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l author -d 'Author of the commit' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l signoff -d 'Add a Signed-off-by line to the commit' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l sign -d 'How to sign the commit' -r -f -a "auto\t''
ssh\t''
gpg\t''
off\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l signing-key-file -d 'Key that signs the commit' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l rebase-when -d 'When to put the branch on top of the base again' -r -f -a "conflicted\t''
behind\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l hold-label -d 'Label that stops us [default: flake-herald:hold]' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l keep-obsolete -d 'Leave a pull request open that has become needless' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -l publish-unchanged -d 'Publish also when no host changes' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -s v -l verbose -d 'Say more on stderr; twice for everything'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand publish" -s h -l help -d 'Print help'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -l pass-env -d 'Let Nix and git see this variable though it holds a secret' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -l option -d 'Setting handed to Nix' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -l store-reader -d 'How closures are read from the store (database: not yet)' -r -f -a "auto\t''
command\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -l selected -d 'Only packages that the user chose' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -l sort -d 'Order of the rows' -r -f -a "name\t''
semver\t''
size\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -l all -d 'Fold nothing: a row for each package of a family, each rebuilt one, each unit and file' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -l exit-code -d 'Exit 0 where nothing changes, 1 where something does, 2 after an error, as diff does' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -l format -d 'Format on stdout' -r -f -a "text\t''
markdown\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -l config -d 'Configuration file [default: none]' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -l log-format -d 'Format of the log on stderr' -r -f -a "text\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -s q -l quiet -d 'Say only warnings and errors on stderr' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -s v -l verbose -d 'Say more on stderr; twice for everything'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand diff" -s h -l help -d 'Print help'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand snapshot" -l pass-env -d 'Let Nix and git see this variable though it holds a secret' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand snapshot" -l option -d 'Setting handed to Nix' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand snapshot" -l store-reader -d 'How closures are read from the store (database: not yet)' -r -f -a "auto\t''
command\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand snapshot" -s o -l output -d 'Where to write the snapshot; - for stdout' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand snapshot" -l config -d 'Configuration file [default: none]' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand snapshot" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand snapshot" -l log-format -d 'Format of the log on stderr' -r -f -a "text\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand snapshot" -s q -l quiet -d 'Say only warnings and errors on stderr' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand snapshot" -s v -l verbose -d 'Say more on stderr; twice for everything'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand snapshot" -s h -l help -d 'Print help'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l flake -d 'Directory of the flake [default: .]' -r -f -a "(__fish_complete_directories)"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l config -d 'Configuration file [default: flake-herald.toml beside flake.nix]' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l submodules -d 'Whether the flake sees its git submodules' -r -f -a "auto\t''
on\t''
off\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l host -d 'Only these hosts, as NAME or kind:NAME; * ? [ab] {a,b} match, \\[ is a bracket; a plain name beats excludes' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l exclude-host -d 'Leave these hosts out, besides *-minimal' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l no-default-excludes -d 'Do not leave out *-minimal' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l kind -d 'Kinds of hosts, instead of nixos' -r -f -a "nixos\t''
darwin\t''
home\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l attr -d 'Also the derivation at this attribute path, or each in a set of them' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l systems -d 'Evaluate each host\'s system for the JSON list' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l eval-jobs -d 'Evaluations at the same time' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l eval-batch -d 'Hosts evaluated together in one process' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l eval-memory -d 'Most memory that evaluations may take together [default: three quarters of what is free]' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l max-jobs -d 'Builds at the same time on this machine' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l run-timeout -d 'Longest time for the whole run, as 90s, 30m, 2h' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l build-timeout -d 'Longest time for one build' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l accept-flake-config -d 'Let Nix apply the flake\'s nixConfig' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l pass-env -d 'Let Nix and git see this variable though it holds a secret' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l option -d 'Setting handed to Nix' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l nix-access-token-file -d 'File with access-tokens for Nix\'s fetchers' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l format -d 'Format of the list' -r -f -a "text\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -l log-format -d 'Format of the log on stderr' -r -f -a "text\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -s q -l quiet -d 'Say only warnings and errors on stderr' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -s v -l verbose -d 'Say more on stderr; twice for everything'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand hosts" -s h -l help -d 'Print help'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l flake -d 'Directory of the flake [default: .]' -r -f -a "(__fish_complete_directories)"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l config -d 'Configuration file [default: flake-herald.toml beside flake.nix]' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l submodules -d 'Whether the flake sees its git submodules' -r -f -a "auto\t''
on\t''
off\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l input -d 'Update only these inputs' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l exclude-input -d 'Update all inputs but these' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l on-unreachable -d 'Fail on an input that cannot be reached, or keep its lock' -r -f -a "fail\t''
keep\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l run-timeout -d 'Longest time for the whole run, as 90s, 30m, 2h' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l accept-flake-config -d 'Let Nix apply the flake\'s nixConfig' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l pass-env -d 'Let Nix and git see this variable though it holds a secret' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l option -d 'Setting handed to Nix' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l nix-access-token-file -d 'File with access-tokens for Nix\'s fetchers' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -s o -l output -d 'Where to write the new lock' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -l log-format -d 'Format of the log on stderr' -r -f -a "text\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -s q -l quiet -d 'Say only warnings and errors on stderr' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -s v -l verbose -d 'Say more on stderr; twice for everything'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand lock" -s h -l help -d 'Print help'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l flake -d 'Directory of the flake [default: .]' -r -f -a "(__fish_complete_directories)"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l config -d 'Configuration file [default: flake-herald.toml beside flake.nix]' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l submodules -d 'Whether the flake sees its git submodules' -r -f -a "auto\t''
on\t''
off\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l host -d 'Only these hosts, as NAME or kind:NAME; * ? [ab] {a,b} match, \\[ is a bracket; a plain name beats excludes' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l exclude-host -d 'Leave these hosts out, besides *-minimal' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l no-default-excludes -d 'Do not leave out *-minimal' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l kind -d 'Kinds of hosts, instead of nixos' -r -f -a "nixos\t''
darwin\t''
home\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l attr -d 'Also the derivation at this attribute path, or each in a set of them' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l input -d 'Update only these inputs' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l exclude-input -d 'Update all inputs but these' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l on-unreachable -d 'Fail on an input that cannot be reached, or keep its lock' -r -f -a "fail\t''
keep\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l skip-update -d 'Compare the commit\'s flake.lock with the working tree\'s' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l lock -d 'Compare with this lock instead of updating; for publish: the lock that was reported on' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l write-lock -d 'Write the new lock into the working tree' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l no-build -d 'Report only what evaluation knows' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l eval-jobs -d 'Evaluations at the same time' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l eval-batch -d 'Hosts evaluated together in one process' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l eval-memory -d 'Most memory that evaluations may take together [default: three quarters of what is free]' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l max-jobs -d 'Builds at the same time on this machine' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l run-timeout -d 'Longest time for the whole run, as 90s, 30m, 2h' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l build-timeout -d 'Longest time for one build' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l min-free -d 'Stop building below this much free disk space, as 20GiB' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l accept-flake-config -d 'Let Nix apply the flake\'s nixConfig' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l pass-env -d 'Let Nix and git see this variable though it holds a secret' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l option -d 'Setting handed to Nix' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l nix-access-token-file -d 'File with access-tokens for Nix\'s fetchers' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l store-reader -d 'How closures are read from the store (database: not yet)' -r -f -a "auto\t''
command\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l format -d 'Format on stdout [default: text on a terminal, else markdown]' -r -f -a "text\t''
markdown\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l output-dir -d 'Write report.md, report.json, report.txt, logs and flake.lock here' -r -f -a "(__fish_complete_directories)"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l fail-on -d 'Which failing hosts give exit code 4' -r -f -a "broken\t''
any\t''
never\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l log-format -d 'Format of the log on stderr' -r -f -a "text\t''
json\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -s q -l quiet -d 'Say only warnings and errors on stderr' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l forge -d 'Kind of forge' -r -f -a "auto\t''
forgejo\t''
gitea\t''
github\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l server-url -d 'The forge\'s address' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l api-url -d 'The address of the forge\'s API' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l repository -d 'The repository on the forge' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l token-file -d 'File with the forge\'s token, instead of FLAKE_HERALD_TOKEN' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l base -d 'Branch that the pull request goes to' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l branch -d 'Branch of the pull request [default: auto/flake-update]' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l remote -d 'Git remote that is pushed to' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l title -d 'Title of the pull request' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l body-template -d 'Template of the pull request\'s body' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l commit-message -d 'Message of the commit' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l author -d 'Author of the commit' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l signoff -d 'Add a Signed-off-by line to the commit' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l sign -d 'How to sign the commit' -r -f -a "auto\t''
ssh\t''
gpg\t''
off\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l signing-key-file -d 'Key that signs the commit' -r -F
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l rebase-when -d 'When to put the branch on top of the base again' -r -f -a "conflicted\t''
behind\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l hold-label -d 'Label that stops us [default: flake-herald:hold]' -r
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l keep-obsolete -d 'Leave a pull request open that has become needless' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -l publish-unchanged -d 'Publish also when no host changes' -r -f -a "true\t''
false\t''"
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -s v -l verbose -d 'Say more on stderr; twice for everything'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand config" -s h -l help -d 'Print help'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand help; and not __fish_seen_subcommand_from run report publish diff snapshot hosts lock config help" -f -a "run" -d 'Update the lock, report what changes on every host, publish a pull request'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand help; and not __fish_seen_subcommand_from run report publish diff snapshot hosts lock config help" -f -a "report" -d 'Report what an update changes on every host; publish nothing'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand help; and not __fish_seen_subcommand_from run report publish diff snapshot hosts lock config help" -f -a "publish" -d 'Merge reports made elsewhere, check them, and publish them as one pull request'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand help; and not __fish_seen_subcommand_from run report publish diff snapshot hosts lock config help" -f -a "diff" -d 'Say what changes from one closure to another'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand help; and not __fish_seen_subcommand_from run report publish diff snapshot hosts lock config help" -f -a "snapshot" -d 'Write a closure into a file that `diff` takes in its place'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand help; and not __fish_seen_subcommand_from run report publish diff snapshot hosts lock config help" -f -a "hosts" -d 'List the hosts that would be built'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand help; and not __fish_seen_subcommand_from run report publish diff snapshot hosts lock config help" -f -a "lock" -d 'Stage the new lock into a file; exit 2 if it does not change'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand help; and not __fish_seen_subcommand_from run report publish diff snapshot hosts lock config help" -f -a "config" -d 'Show the merged configuration and where each value comes from'
complete -c flake-herald -n "__fish_flake_herald_using_subcommand help; and not __fish_seen_subcommand_from run report publish diff snapshot hosts lock config help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
