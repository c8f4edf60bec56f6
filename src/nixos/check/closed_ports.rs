//! Services that nobody in the network reaches, because the firewall keeps their ports closed. Pure.

use super::facts::ConfigFacts;
use super::own_facts::ClosedPortFacts;
use super::{Finding, Severity};

/// The consequence.
const WHY: &str = "other machines cannot reach the service. If only programs on this machine use it, that is right";
/// The priority of a plain definition.
const PLAIN: u32 = 100;

/// One for each such service with an option that opens its ports, and one for all others.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let all = facts.closed_ports.iter();
    let (switched, others): (Vec<_>, Vec<_>) = all.partition(|one| one.has_switch);
    let switched = switched.into_iter().map(|one| Finding {
        is: said_of(&[one]),
        add: vec![format!("services.{}.openFirewall = true;", one.service)],
        ..finding()
    });
    let others = (!others.is_empty()).then(|| Finding {
        is: said_of(&others),
        add: line(facts, &others).into_iter().collect(),
        ..finding()
    });
    switched.chain(others)
}

fn finding() -> Finding {
    Finding {
        id: "closed-port",
        severity: Severity::Warning,
        is: String::new(),
        why: WHY.to_owned(),
        add: Vec::new(),
        place: None,
    }
}

fn said_of(services: &[&ClosedPortFacts]) -> String {
    let options = services
        .iter()
        .map(|one| format!("services.{}.enable = true", one.service));
    let options = options.collect::<Vec<_>>().join(", ");
    let ports = ports_of(services);
    let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>();
    format!(
        "{options}, but the firewall has no open port {}",
        ports.join(", ")
    )
}

fn ports_of(services: &[&ClosedPortFacts]) -> Vec<u16> {
    let mut ports: Vec<u16> = services.iter().flat_map(|one| one.ports.clone()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The line that opens the ports of `services`; `None` where the firewall's list is forced, and where the port of the SSH server is closed,
/// which is another finding.
fn line(facts: &ConfigFacts, services: &[&ClosedPortFacts]) -> Option<String> {
    let (wall, ssh) = (&facts.firewall, &facts.ssh);
    let is_other = ssh.enable && ssh.ports.iter().any(|port| !wall.admitted.contains(port));
    if is_other || wall.ports_priority < PLAIN {
        return None;
    }
    let ports: Vec<String> = ports_of(services).iter().map(u16::to_string).collect();
    Some(format!(
        "networking.firewall.allowedTCPPorts = [ {} ];",
        ports.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::findings;
    use super::super::tests::with;

    fn told(changes: &[(&str, Value)]) -> Vec<(String, Vec<String>)> {
        let found = findings(&with(changes), "aarch64-linux", None);
        assert!(found.iter().all(|one| one.id == "closed-port"), "{found:?}");
        found.into_iter().map(|one| (one.is, one.add)).collect()
    }

    #[test]
    fn closed_ports_are_opened() {
        let closed = json!([
            { "service": "nginx", "ports": [80, 443], "has_switch": false },
            { "service": "jellyfin", "ports": [8096], "has_switch": true },
        ]);
        let ports = ("/firewall/ports", json!([22, 8080]));
        let found = told(&[("/closed_ports", closed), ports]);
        assert_eq!(
            found,
            [
                (
                    "services.jellyfin.enable = true, but the firewall has no open port 8096"
                        .to_owned(),
                    vec!["services.jellyfin.openFirewall = true;".to_owned()],
                ),
                (
                    "services.nginx.enable = true, but the firewall has no open port 80, 443"
                        .to_owned(),
                    vec!["networking.firewall.allowedTCPPorts = [ 80 443 ];".to_owned()],
                ),
            ]
        );
    }

    #[test]
    fn a_forced_list_of_ports_gets_no_line() {
        let closed = json!([{ "service": "nginx", "ports": [80], "has_switch": false }]);
        let found = told(&[
            ("/closed_ports", closed),
            ("/firewall/ports_priority", json!(50)),
        ]);
        assert_eq!(found[0].1, [""; 0]);
    }
}
