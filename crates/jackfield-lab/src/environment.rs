//! What programs in a lab find out about it: variables, and names for addresses.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::plan::{Plan, SERVER, SERVER_IP6, SERVER_IPS, SitePlan, synthesized};
use super::proxy::ProxyKind;

/// Returns the variables of programs on a host.
pub fn variables(lab: &str, plan: &Plan, host: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value);
    set("LAB_NAME", lab.to_owned());
    set("LAB_HOST", host.to_owned());
    let own = plan.hosts.iter().find(|it| it.name == host);
    let site = own.and_then(|host| plan.sites.get(host.site));
    for (name, ip) in ["LAB_SERVER", "LAB_SERVER_2"].iter().zip(SERVER_IPS) {
        set(
            name,
            match site.is_some_and(SitePlan::is_nat64) {
                true => synthesized(ip).to_string(),
                false => ip.to_string(),
            },
        );
    }
    if let Some(proxy) = site.and_then(|site| site.proxy) {
        // By these names curl and most other programs know their proxy.
        match proxy.kind {
            ProxyKind::Http => set("https_proxy", format!("http://{}", proxy.address)),
            ProxyKind::Socks => set("all_proxy", format!("socks5h://{}", proxy.address)),
        };
    }
    if plan.ipv6 {
        set("LAB_SERVER_6", SERVER_IP6.to_string());
    }
    if host == SERVER {
        set(
            "LAB_IP",
            SERVER_IPS
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
        );
    }
    for other in &plan.hosts {
        // A shell's variables have no hyphens.
        let name = other.name.to_uppercase().replace('-', "_");
        set(&format!("LAB_IP_{name}"), other.ip.to_string());
        set(
            &format!("LAB_PUBLIC_IP_{name}"),
            other.public_ip.to_string(),
        );
        if let Some(ip6) = other.ip6 {
            set(&format!("LAB_IP6_{name}"), ip6.to_string());
        }
        if other.name == host {
            set("LAB_IP", other.ip.to_string());
            set("LAB_PUBLIC_IP", other.public_ip.to_string());
            if let Some(site) = plan.sites.get(other.site) {
                set("LAB_SITE", site.name.clone());
            }
        }
    }
    variables
}

/// Returns the `/etc/hosts` of a lab.
#[must_use]
pub fn hosts_file(plan: &Plan) -> String {
    let mut text = String::from("127.0.0.1 localhost\n");
    let mut line = |ip: &dyn std::fmt::Display, name: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{ip} {name}");
    };
    if let Some(first) = SERVER_IPS.first() {
        line(first, SERVER);
    }
    if plan.ipv6 {
        line(&"::1", "localhost");
        line(&SERVER_IP6, SERVER);
    }
    // As a DNS64 would say it (RFC 6147). Where there is no route to these, they come last
    // (RFC 6724 §6, rule 1).
    let has_nat64 = plan.sites.iter().any(SitePlan::is_nat64);
    for (name, ip) in plan.public_ipv4().filter(|_| has_nat64) {
        line(&synthesized(ip), name);
    }
    for host in &plan.hosts {
        line(&host.ip, &host.name);
        if let Some(ip6) = host.ip6.filter(|ip6| host.ip != *ip6) {
            line(&ip6, &host.name);
        }
    }
    text
}

/// Returns the `/etc/resolv.conf` of a lab, which names the lab's server. A lab has no name server
/// unless its user runs one there.
#[must_use]
pub fn resolver_file() -> String {
    let [server, _] = SERVER_IPS;
    format!("nameserver {server}\noptions timeout:1 attempts:1\n")
}

/// Returns the `/etc/nsswitch.conf` of a lab, from the current one. Host names come from files and
/// DNS alone: other sources, such as systemd-resolved, live outside the lab and answer for the
/// real network.
#[must_use]
pub fn switch_file(current: &str) -> String {
    let lines = current.lines();
    let others = lines.filter(|line| !line.trim_start().starts_with("hosts:"));
    let mut text: String = others.map(|line| format!("{line}\n")).collect();
    text.push_str("hosts: files dns\n");
    text
}

#[cfg(test)]
mod tests {
    use super::super::Spec;
    use super::*;

    fn plan() -> Plan {
        let text = "[site.home]\nnat = \"linux\"\n[host.old-pc]\nsite = \"home\"\n[host.bob]";
        Plan::new(&Spec::from_toml(text).unwrap()).unwrap()
    }

    #[test]
    fn a_program_knows_where_it_is_and_where_the_others_are() {
        let variables = variables("demo", &plan(), "old-pc");
        assert_eq!(variables["LAB_SITE"], "home");
        assert_eq!(variables["LAB_IP"], "10.1.0.1");
        assert_eq!(variables["LAB_PUBLIC_IP"], "198.18.1.1");
        assert_eq!(variables["LAB_IP_BOB"], variables["LAB_PUBLIC_IP_BOB"]);
        assert_eq!(variables["LAB_PUBLIC_IP_OLD_PC"], "198.18.1.1");
        assert_eq!(variables["LAB_SERVER"], "198.18.0.1");
    }

    #[test]
    fn names_are_looked_up_inside_the_lab_alone() {
        let text = switch_file("passwd: files\nhosts: files resolve dns\n");
        assert_eq!(text, "passwd: files\nhosts: files dns\n");
    }

    #[test]
    fn every_host_has_a_name() {
        let text = hosts_file(&plan());
        assert!(text.contains("198.18.0.1 server\n"));
        assert!(text.contains("10.1.0.1 old-pc\n"));
    }
}
