//! The firewall builder: its verdicts are those of the server, and given before anything is sent.

use crate::calls::VM;
use fastvm::types::{
    DnsPolicy, EgressPolicy, EgressRule, FirewallPolicy, IngressPolicy, IngressRule,
};
use fastvm::{Firewall, Outcome, Traffic};
use fastvm_tests::{Reply, Stub, World, client};

fn policy_in(kind: &str, value: &str, protocol: &str, ports: &str) -> FirewallPolicy {
    let rule = IngressRule::new("allow", kind, value, protocol, ports);
    FirewallPolicy::new().ingress(IngressPolicy::new("deny").rules(rule))
}

fn policy_out(kind: &str, value: &str, protocol: &str, ports: &str) -> FirewallPolicy {
    let rule = EgressRule::new("allow", kind, value, protocol, ports);
    FirewallPolicy::new().egress(EgressPolicy::new("deny").rules(rule))
}

/// Every form of value that a rule can have, good and bad.
fn policies() -> Vec<FirewallPolicy> {
    let mut policies = vec![
        FirewallPolicy::new(),
        FirewallPolicy::new().egress(EgressPolicy::new("reject")),
        FirewallPolicy::new().ingress(IngressPolicy::new("")),
        FirewallPolicy::new().dns(DnsPolicy::new().mode("off")),
        policy_in("fqdn", "a.com", "tcp", "80"),
        policy_out("url", "a.com", "tcp", "80"),
    ];
    for ports in [
        "1",
        "80",
        "65535",
        "3000-3010",
        "80-80",
        "any",
        "",
        "0",
        "080",
        "65536",
        "-1",
        "+1",
        "1-",
        "-",
        "2-1",
        "1-2-3",
        "1,2",
        " 80",
        "80 ",
        "ANY",
        "0-9",
        "1-+2",
        "１",
    ] {
        for protocol in ["tcp", "udp", "any", "icmp", ""] {
            policies.push(policy_in("cidr", "::/0", protocol, ports));
            policies.push(policy_out("cidr", "::/0", protocol, ports));
        }
    }
    for cidr in [
        "10.0.0.0/8",
        "10.0.0.1/8",
        "0.0.0.0/0",
        "::/0",
        "2001:db8::1/128",
        "::ffff:1.2.3.4/96",
        "",
        "10.0.0.1",
        "::1",
        "10.0.0.0/33",
        "::/129",
        "10.0.0/8",
        "x/8",
        "10.0.0.0/08",
        "10.0.0.0/+8",
        "010.0.0.0/8",
        "10.0.0.0/255.0.0.0",
        " 10.0.0.0/8",
        "[::]/0",
        "fe80::1%1/64",
    ] {
        policies.push(policy_in("cidr", cidr, "tcp", "80"));
        policies.push(policy_out("cidr", cidr, "tcp", "80"));
    }
    let (label, long_label) = ("a".repeat(63), "a".repeat(64));
    let (most, more) = ("a.".repeat(126) + "a", "a.".repeat(126) + "aa");
    for domain in [
        "example.com",
        "*.example.com",
        "A-b.example",
        "_x.example",
        "intranet",
        "4.com",
        "a.4com",
        "",
        "*",
        "*.",
        "**.com",
        "*a.com",
        "a.*.com",
        "a.*",
        "*.*.com",
        "a..com",
        ".com",
        "com.",
        "-a.com",
        "a-.com",
        "a b.com",
        "ä.com",
        "10.0.0.1",
        "*.0.1",
        "http://a.com",
        "a.com/b",
        &label,
        &long_label,
        &most,
        &more,
        &format!("*.{most}"),
    ] {
        policies.push(policy_out("fqdn", domain, "tcp", "443"));
        policies.push(FirewallPolicy::new().dns(DnsPolicy::new().domains(domain)));
    }
    let domains = [
        "a.com",
        "A.COM",
        "b.a.com",
        "c.b.a.com",
        "xa.com",
        "com",
        "*.a.com",
        "*.b.a.com",
        "*.com",
    ];
    for rule in domains {
        let policy = policy_out("fqdn", rule, "any", "any");
        policies.push(policy.clone().dns(DnsPolicy::new().mode("allow")));
        for listed in domains {
            let dns = DnsPolicy::new().domains(listed);
            policies.push(policy.clone().dns(dns.clone()));
            policies.push(policy.clone().dns(dns.clone().mode("allow")));
            policies.push(policy.clone().dns(dns.mode("deny")));
        }
    }
    policies
}

#[tokio::test]
async fn the_builder_refuses_what_the_server_refuses_and_nothing_else() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let (mut taken, mut refused) = (0, 0);
    for policy in policies() {
        let here = Firewall::from(policy.clone()).build();
        let there = vm.set_firewall().body(policy.clone()).await;
        match (&here, &there) {
            (Ok(_), Ok(_)) => taken += 1,
            (Err(here), Err(there)) => {
                assert!(here.is_invalid_input(), "{here}");
                assert_eq!(
                    there.status().map(|status| status.as_u16()),
                    Some(400),
                    "{there}"
                );
                refused += 1;
            }
            _ => panic!("{policy:?}: here {here:?}, there {:?}", there.map(drop)),
        }
    }
    assert!(
        taken > 100 && refused > 200,
        "{taken} taken, {refused} refused"
    );
}

#[tokio::test]
async fn what_is_built_is_in_force_on_the_vm() {
    let world = World::start().await;
    let policy = Firewall::only_domains(["pypi.org", "*.pythonhosted.org"])
        .allow_to("10.0.0.0/8", Traffic::tcp(5432))
        .allow_from("203.0.113.7", Traffic::udp(8000..=8010))
        .block_dns_bypass(true);
    let policy = policy.build().unwrap();
    let launch = world.client.vms().launch("c1m2").firewall(policy.clone());
    let vm = launch.await.unwrap();
    assert_eq!(vm.firewall, Some(policy));
    let expected = serde_json::json!({
        "ingress": {"default": "deny", "rules": [
            {"action": "allow", "kind": "cidr", "value": "203.0.113.7/32", "protocol": "udp",
             "ports": "8000-8010"},
        ]},
        "egress": {"default": "deny", "rules": [
            {"action": "allow", "kind": "fqdn", "value": "pypi.org", "protocol": "any", "ports": "any"},
            {"action": "allow", "kind": "fqdn", "value": "*.pythonhosted.org", "protocol": "any",
             "ports": "any"},
            {"action": "allow", "kind": "cidr", "value": "10.0.0.0/8", "protocol": "tcp",
             "ports": "5432"},
        ]},
        "dns": {"mode": "allow", "domains": ["pypi.org", "*.pythonhosted.org"], "blockBypass": true},
    });
    assert_eq!(
        serde_json::to_value(&vm.effective_firewall).unwrap(),
        expected
    );
}

#[tokio::test]
async fn presets_replace_each_other() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    for (preset, ingress, egress, dns) in [
        (Firewall::deny_all(), "deny", "deny", "allow"),
        (Firewall::allow_all(), "allow", "allow", "deny"),
        (Firewall::new(), "deny", "allow", "deny"),
    ] {
        let vm = vm
            .set_firewall()
            .body(preset.build().unwrap())
            .await
            .unwrap();
        let force = vm.effective_firewall.clone().unwrap();
        assert_eq!(force.ingress.unwrap().default, ingress);
        assert_eq!(force.egress.unwrap().default, egress);
        let force = force.dns.unwrap();
        assert_eq!(force.mode.unwrap(), dns);
        assert_eq!(force.domains, Some(vec![]));
    }
}

#[tokio::test]
async fn a_patch_leaves_the_blocks_it_does_not_touch() {
    let world = World::start().await;
    let closed = Firewall::deny_all().build().unwrap();
    let launch = world.client.vms().launch("c1m2").firewall(closed.clone());
    let vm = launch.await.unwrap();
    let patch = Firewall::new().allow_from("::/0", Traffic::tcp(80));
    let patch = patch.build_patch().unwrap();
    let vm = vm.patch_firewall().body(patch).await.unwrap();
    let now = vm.firewall.clone().unwrap();
    assert_eq!((&now.egress, &now.dns), (&closed.egress, &closed.dns));
    assert_ne!(now.ingress, closed.ingress);

    let amended = Firewall::from(now)
        .allow_domains(["pypi.org"])
        .build()
        .unwrap();
    let vm = vm.set_firewall().body(amended.clone()).await.unwrap();
    assert_eq!(vm.firewall, Some(amended));
}

#[test]
fn mistakes_are_told_with_the_place_before_anything_is_sent() {
    for (firewall, place) in [
        (
            Firewall::new().allow_from("example.com", Traffic::any()),
            "ingress.rules[0].value",
        ),
        (
            Firewall::new().deny_to("*", Traffic::any()),
            "egress.rules[0].value: \"*\" is no domain",
        ),
        (
            Firewall::new().deny_to("10.0.0/8", Traffic::any()),
            "egress.rules[0].value: \"10.0.0/8\" is no CIDR",
        ),
        (
            Firewall::new().allow_to("https://a.com", Traffic::tcp(443)),
            "egress.rules[0].value: \"https://a.com\" is no domain",
        ),
        (
            Firewall::new()
                .allow_to("10.0.0.0/8", Traffic::tcp(..))
                .allow_to("10.0.0.0/8", Traffic::tcp(0)),
            "egress.rules[1].ports",
        ),
        (
            Firewall::deny_all().allow_to("a.com", Traffic::tcp(443)),
            "egress.rules[0].value: the rule for \"a.com\" is dead",
        ),
        (
            Firewall::only_domains(["a.com", "*.*.b.com"]),
            "dns.domains[1]",
        ),
    ] {
        let error = firewall.build_patch().unwrap_err();
        assert!(error.is_invalid_input());
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(error.to_string().contains(place), "{error}");
    }
}

#[tokio::test]
async fn a_policy_whose_answer_was_lost_is_sent_again_as_it_was() {
    let lost = Reply::html(503).header("retry-after", "0");
    let stub = Stub::start([lost, Reply::json(200, VM)]).await;
    let client = client(stub.base_url(), "key");
    let policy = Firewall::deny_all().build().unwrap();
    client
        .vms()
        .set_firewall("vm-1")
        .body(policy)
        .await
        .unwrap();
    let requests = stub.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].body, requests[1].body);
}
