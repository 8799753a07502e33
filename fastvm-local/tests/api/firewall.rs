//! Firewall policies.

use serde_json::{Value, json};

use crate::support::*;

fn cidr(ports: &str) -> Value {
    json!({"action": "allow", "kind": "cidr", "value": "10.0.0.0/8", "protocol": "tcp", "ports": ports})
}

fn fqdn(domain: &str) -> Value {
    json!({"action": "allow", "kind": "fqdn", "value": domain, "protocol": "tcp", "ports": "443"})
}

fn refused(answer: (u16, Value), path: &str) {
    let (status, refusal) = answer;
    assert_eq!(status, 400, "{refusal}");
    let text = refusal["error"].as_str().unwrap();
    assert!(text.starts_with(&format!("{path}: ")), "{text}");
}

#[tokio::test]
async fn a_vm_without_a_policy_shows_the_defaults_in_force() {
    let api = Api::start().await;
    let vm = api.get(&api.vm().await).await.1;
    assert_eq!(vm.get("firewall"), None);
    assert_eq!(
        vm["effectiveFirewall"],
        json!({
            "ingress": {"default": "deny", "rules": []},
            "egress": {"default": "allow", "rules": []},
            "dns": {"mode": "deny", "domains": [], "blockBypass": false},
        })
    );
}

#[tokio::test]
async fn a_policy_is_replaced_as_a_whole_and_patched_by_blocks() {
    let api = Api::start().await;
    let path = format!("{}/firewall", api.vm().await);
    let first = json!({
        "ingress": {"default": "deny", "rules": [cidr("80"), cidr("3000-3010")]},
        "egress": {"default": "deny", "rules": [fqdn("*.example.com")]},
    });
    let (status, vm) = api.put_json(&path, first.clone()).await;
    assert_eq!((status, &vm["firewall"]), (200, &first));
    assert_eq!(vm["effectiveFirewall"]["ingress"], first["ingress"]);

    let patch = json!({"ingress": {"default": "allow"}});
    let (status, vm) = api.patch(&path, patch).await;
    let patched = json!({"ingress": {"default": "allow"}, "egress": first["egress"]});
    assert_eq!((status, &vm["firewall"]), (200, &patched));
    assert_eq!(api.patch(&path, json!({})).await.1["firewall"], patched);

    let second = json!({"dns": {"mode": "allow", "domains": ["example.com"]}});
    let (_, vm) = api.put_json(&path, second.clone()).await;
    assert_eq!(vm["firewall"], second);
    assert_eq!(vm["effectiveFirewall"]["egress"]["default"], "allow");
    assert_eq!(vm["effectiveFirewall"]["dns"]["blockBypass"], false);
}

#[tokio::test]
async fn an_empty_patch_gives_no_policy_to_a_vm_without_one() {
    let api = Api::start().await;
    let path = format!("{}/firewall", api.vm().await);
    let (status, vm) = api.patch(&path, json!({})).await;
    assert_eq!((status, vm.get("firewall")), (200, None));
}

#[tokio::test]
async fn a_policy_that_cannot_be_is_refused_and_changes_nothing() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let path = format!("{vm}/firewall");
    let rules = json!([cidr("1"), cidr("any"), cidr("70000")]);
    let ports = json!({"egress": {"default": "deny", "rules": rules}});
    refused(
        api.put_json(&path, ports.clone()).await,
        "egress.rules[2].ports",
    );
    refused(
        api.patch(&path, ports.clone()).await,
        "egress.rules[2].ports",
    );
    let launch = json!({"machineType": "c1m2", "firewall": ports});
    refused(
        api.post("/v1/vms", launch).await,
        "firewall.egress.rules[2].ports",
    );
    let (status, refusal) = api.put_json(&path, json!({"egress": {}})).await;
    assert_eq!(status, 400);
    assert!(refusal["error"].as_str().unwrap().contains("default"));
    assert_eq!(api.get(&vm).await.1.get("firewall"), None);
    assert_eq!(api.put_json("/v1/vms/x/firewall", json!({})).await.0, 404);
}

#[tokio::test]
async fn a_patch_that_makes_a_rule_dead_is_refused() {
    let api = Api::start().await;
    let path = format!("{}/firewall", api.vm().await);
    let policy = json!({"egress": {"default": "deny", "rules": [fqdn("a.example.com")]}});
    assert_eq!(api.put_json(&path, policy.clone()).await.0, 200);
    for dns in [
        json!({"dns": {"domains": ["*.example.com"]}}),
        json!({"dns": {"mode": "allow", "domains": ["example.com"]}}),
    ] {
        refused(api.patch(&path, dns).await, "egress.rules[0].value");
    }
    assert_eq!(api.patch(&path, json!({})).await.1["firewall"], policy);
    let listed = json!({"dns": {"mode": "allow", "domains": ["*.example.com"]}});
    assert_eq!(api.patch(&path, listed).await.0, 200);
}
