//! What programs in a lab find: variables, and files that say how names resolve.

use std::collections::HashMap;
use std::net::IpAddr;

use jackfield_lab::environment::{hosts_file, resolver_file, switch_file, variables};
use jackfield_lab::{Plan, SERVER};
use proptest::prelude::*;

use super::random_lab::random_lab;

proptest! {
    #[test]
    fn each_program_knows_its_own_address_and_those_of_all_hosts(lab in random_lab()) {
        let plan = Plan::new(&lab.in_code()).unwrap();
        for host in &plan.hosts {
            let variables = variables("demo", &plan, &host.name);
            prop_assert_eq!(&variables["LAB_NAME"], "demo");
            prop_assert_eq!(&variables["LAB_HOST"], &host.name);
            prop_assert_eq!(&variables["LAB_IP"], &host.ip.to_string());
            prop_assert_eq!(&variables["LAB_PUBLIC_IP"], &host.public_ip.to_string());
            prop_assert_eq!(&variables["LAB_SITE"], &plan.sites[host.site].name);
            prop_assert_eq!(variables.contains_key("LAB_SERVER_6"), lab.ipv6);
            for other in &plan.hosts {
                let name = other.name.to_uppercase().replace('-', "_");
                prop_assert_eq!(&variables[&format!("LAB_IP_{name}")], &other.ip.to_string());
                let ip6 = variables.get(&format!("LAB_IP6_{name}")).cloned();
                prop_assert_eq!(ip6, other.ip6.map(|ip| ip.to_string()));
            }
        }
    }

    #[test]
    fn the_names_of_variables_are_names_to_a_shell(lab in random_lab()) {
        let plan = Plan::new(&lab.in_code()).unwrap();
        for name in variables("demo", &plan, SERVER).keys() {
            let sound = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            prop_assert!(name.starts_with("LAB_") && name.chars().all(sound), "{}", name);
        }
    }

    #[test]
    fn each_name_resolves_to_the_addresses_of_its_host(lab in random_lab()) {
        let plan = Plan::new(&lab.in_code()).unwrap();
        let mut names: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for line in hosts_file(&plan).lines() {
            let (ip, name) = line.split_once(' ').unwrap();
            names.entry(name.to_owned()).or_default().push(ip.parse().unwrap());
        }
        for host in &plan.hosts {
            let mut own = vec![host.ip];
            own.extend(host.ip6.map(IpAddr::V6));
            prop_assert_eq!(names.remove(&host.name), Some(own));
        }
        let families = if lab.ipv6 { 2 } else { 1 };
        for name in ["localhost", SERVER] {
            prop_assert_eq!(names.remove(name).map(|all| all.len()), Some(families));
        }
        prop_assert!(names.is_empty(), "{:?}", names);
    }

    #[test]
    fn of_the_switch_only_the_line_of_hosts_changes(lines in prop::collection::vec("[a-z]{1,6}: [a-z ]{1,9}", 0..6)) {
        let others: Vec<&String> = lines.iter().filter(|line| !line.starts_with("hosts:")).collect();
        let current: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let text = switch_file(&format!("{current}  hosts: mdns4 dns\n"));
        let mut found: Vec<&str> = text.lines().collect();
        prop_assert_eq!(found.pop(), Some("hosts: files dns"));
        prop_assert_eq!(found, others);
    }
}

#[test]
fn names_are_asked_for_on_the_server() {
    assert!(resolver_file().starts_with("nameserver 198.18.0.1\n"));
}

#[test]
fn the_server_has_an_address_and_no_site() {
    let plan = Plan::new(&jackfield_lab::Spec::default()).unwrap();
    let variables = variables("demo", &plan, SERVER);
    assert_eq!(variables["LAB_IP"], "198.18.0.1");
    assert_eq!(variables["LAB_SERVER_2"], "198.18.0.2");
    assert!(!variables.contains_key("LAB_SITE"));
}
