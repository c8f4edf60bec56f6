//! A provider of machines: a program, and containers with an SSH server that stand for the machines. The engine of such a machine
//! is that of this one.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::nix_machine::{ACCOUNT, copy_server, make_keys};
use super::{
    TestUser, docker, docker_lines, engine_ready, root_available, run, tool_unpacked,
    tools_available, write_program,
};

const SOCKET: &str = "/var/run/docker.sock";
/// The label of the containers, with the provider's directory.
const LABEL: &str = "sdbuild.tests.provider";

/// A directory with the program `rent` and what its machines need. Machines that are still there are removed when the value is
/// dropped.
pub struct MachineProvider {
    dir: tempfile::TempDir,
    /// The container image of its machines.
    builder: String,
}

impl MachineProvider {
    /// Whether this machine can be one.
    pub fn can_run() -> bool {
        engine_ready()
            && root_available()
            && tools_available(&["ssh", "ssh-keygen", "ldd"])
            && tool_unpacked("usr/sbin/sshd")
            && Path::new(SOCKET).exists()
    }

    /// A provider whose machines have the programs of the container image `builder`.
    pub fn new(builder: &str) -> Self {
        let provider = Self { dir: tempfile::tempdir().unwrap(), builder: builder.to_owned() };
        make_keys(provider.dir.path(), &["host", "other", "key"]);
        provider.announce("host");
        provider.write_machine();
        provider.write_program("rent", &program(&provider, builder));
        // The user's configuration is not in the home directory that ssh knows.
        fs::create_dir(provider.at("bin")).unwrap();
        let configuration = provider.at("ssh_config");
        let key = provider.at("key");
        let text = format!("IdentityFile {}\nIdentitiesOnly yes\n", key.display());
        fs::write(&configuration, text).unwrap();
        let ssh = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", configuration.display());
        provider.write_program("bin/ssh", &ssh);
        provider
    }

    /// Lets the program tell the host key `name`: `host`, the right one, or `other`.
    pub fn announce(&self, name: &str) {
        fs::copy(self.at(&format!("{name}.pub")), self.at("announced")).unwrap();
    }

    /// The fingerprint of the host key `name`.
    pub fn fingerprint(&self, name: &str) -> String {
        let mut show = Command::new("ssh-keygen");
        let shown = run(show.arg("-lf").arg(self.at(name))).assert_exit_code(0);
        shown.stdout.split(' ').nth(1).unwrap().to_owned()
    }

    /// `user` with this provider, and with its key.
    pub fn known_to(&self, user: TestUser) -> TestUser {
        let path = format!("{}:{}", self.at("bin").display(), user.environment["PATH"]);
        user.with("PATH", path).with("SDBUILD_ON", format!("command:{}", self.at("rent").display()))
    }

    /// The verbs that the program was called with.
    pub fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.at("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// The machines that are there.
    pub fn machines(&self) -> Vec<String> {
        let label = format!("label={LABEL}={}", self.dir.path().display());
        docker_lines(&["ps", "--all", "--filter", &label, "--format", "{{.Names}}"])
    }

    /// Starts the machine `name` with the host key `host`, where the key `login` may log in; returns its address.
    pub fn start_machine(&self, name: &str, host: &str, login: &str) -> String {
        let dir = self.at(name);
        run(Command::new("cp").arg("-a").arg(self.at("machine")).arg(&dir)).assert_exit_code(0);
        // In place: the owner and the mode of the file stay.
        fs::write(dir.join("host"), host).unwrap();
        fs::write(dir.join("authorized_keys"), format!("{login}\n")).unwrap();
        let label = format!("{LABEL}={}", self.dir.path().display());
        let machine = format!("{}:/machine:ro", dir.display());
        let group = fs::metadata(SOCKET).unwrap().gid();
        let [account, group] = [ACCOUNT, group].map(|number| number.to_string());
        let socket = format!("{SOCKET}:{SOCKET}");
        let words = ["run", "--detach", "--name", name, "--label", &label, "--user", &account];
        let more = ["--group-add", &group, "--volume", &machine, "--volume", &socket];
        let program = ["--entrypoint", "sh", &self.builder, "/machine/start"];
        docker(&[&words[..], &more, &program].concat());
        let address = "{{.NetworkSettings.IPAddress}}";
        docker_lines(&["inspect", "--format", address, name]).remove(0)
    }

    /// Lets `user` reach machines of Amazon, as which those of this provider stand: another port, and another account.
    pub fn stands_for_amazon(&self, user: TestUser) -> TestUser {
        fs::write(self.at("amazon_config"), "Port 2222\n").unwrap();
        let text = format!(
            "#!/bin/sh\nfor word in \"$@\"; do\n  shift\n  case $word in\n  ssh://ec2-user@*) word=ssh://sdbuild@${{word#*@}} ;;\n  esac\n  \
             set -- \"$@\" \"$word\"\ndone\nexec /usr/bin/ssh -F {} \"$@\"\n",
            self.at("amazon_config").display()
        );
        fs::create_dir(self.at("amazon")).unwrap();
        self.write_program("amazon/ssh", &text);
        let path = self.at("amazon");
        let path = format!("{}:{}", path.display(), user.environment["PATH"]);
        user.with("PATH", path).with("SDBUILD_ON", "aws")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_program(&self, name: &str, text: &str) {
        write_program(self.at(name), text);
    }

    /// What is in the machine: the SSH server with its libraries, its key, and who may log in.
    fn write_machine(&self) {
        let machine = self.at("machine");
        fs::create_dir(&machine).unwrap();
        fs::copy(self.at("host"), machine.join("host")).unwrap();
        copy_server(&machine);
        fs::copy(self.at("key.pub"), machine.join("authorized_keys")).unwrap();
        fs::write(
            machine.join("sshd_config"),
            "Port 2222\nHostKey /machine/host\nAuthorizedKeysFile /machine/authorized_keys\nPidFile none\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nSetEnv PATH=/usr/bin:/bin\n",
        )
        .unwrap();
        fs::write(
            machine.join("start"),
            "LD_LIBRARY_PATH=/machine/lib exec /machine/sshd -D -e -f /machine/sshd_config\n",
        )
        .unwrap();
        fs::set_permissions(self.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

impl Drop for MachineProvider {
    fn drop(&mut self) {
        for machine in self.machines() {
            let mut remove = Command::new("docker");
            drop(remove.args(["rm", "--force", "--volumes", &machine]).output());
        }
    }
}

/// The text of the program `rent`.
fn program(provider: &MachineProvider, builder: &str) -> String {
    let group = fs::metadata(SOCKET).unwrap().gid();
    let dir = provider.dir.path().display();
    format!(
        r#"#!/bin/sh
set -e
echo "$1" >>calls
name=rented-$SDBUILD_RUN
case $1 in
create)
  docker run --detach --name "$name" --label "{LABEL}={dir}" --user {ACCOUNT} --group-add {group} \
    --volume {dir}/machine:/machine:ro --volume {SOCKET}:{SOCKET} --entrypoint sh {builder} /machine/start >&2
  echo "host=sdbuild@$(docker inspect --format '{{{{.NetworkSettings.IPAddress}}}}' "$name"):2222"
  echo "host-key=$(cat announced)"
  echo "id=$name" ;;
destroy) docker rm --force --volumes "$name" >&2 || ! docker inspect "$name" >&2 ;;
*) exit 64 ;;
esac
"#
    )
}
