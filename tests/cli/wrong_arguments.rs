//! Arguments that are refused, with exit code 2.

use crate::cli_test::CliTest;

#[test]
fn a_mistake_has_the_name_of_what_there_is() {
    for (words, name) in [
        (&["buidl"][..], "'build'"),
        (&["build", "--confg", "x"], "'--config'"),
        (&["build", "--platform", "linux/arm64"], "--system"),
        (&["boot", "--compress", "xz"], "`sdbuild build`"),
        (&["build", "--system", "z80-linux"], "aarch64-linux"),
        (&["build", "--board", "rpi6"], "rpi5"),
        (&["build", "--format", "docker"], "container"),
        (&["build", "--jobs", "-1"], "`-1` is not between 1 and 4096"),
        (&["boot", "--run", ""], "--run <CMD>"),
        (&["shell", "--run", ""], "--run <CMD>"),
        (&["boot", "--until-ssh", "--user", "ann@pi"], "--user ann"),
        (&["build", ".", "--flake", ".#pi"], "--flake"),
        (&["man", "biuld"], "build"),
        (&["help", "buidl"], "buidl"),
    ] {
        CliTest::new(words).exit_code(2).stderr(name).run();
    }
}

#[test]
fn an_unknown_flag_is_not_proposed_as_a_value_nor_a_hidden_command() {
    for (words, other) in [
        (&["build", "--fast"][..], "-- --fast"),
        (&["exec", "x"], "exec-with-parent"),
    ] {
        let stderr = CliTest::new(words).exit_code(2).run().stderr;
        assert!(!stderr.contains(other), "{stderr}");
    }
}
