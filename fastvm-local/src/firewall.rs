//! Firewall policies: which are allowed, and what a VM shows as in force. Nothing is enforced here.

use fastvm_api::types::{
    DnsMode, DnsPolicy, EgressPolicy, EgressRuleKind, FirewallPolicy, IngressPolicy, IngressRule,
    IngressRuleKind, PatchFirewallRequest, PolicyAction, Service, TransportProtocol,
};
use ipnet::IpNet;

const ANY: &str = "any";

/// What the DNS allows of a name and of each of its labels.
const MOST_DOMAIN_BYTES: usize = 253;
const MOST_LABEL_BYTES: usize = 63;

/// Checks a policy as a whole. A refusal is a text for a 400, with the field's path in the policy.
pub(crate) fn check(policy: &FirewallPolicy) -> Result<(), String> {
    if let Some(ingress) = &policy.ingress {
        check_ingress(ingress).map_err(|text| format!("ingress.{text}"))?;
    }
    if let Some(dns) = &policy.dns {
        check_dns(dns).map_err(|text| format!("dns.{text}"))?;
    }
    if let Some(egress) = &policy.egress {
        check_egress(egress, policy.dns.as_ref()).map_err(|text| format!("egress.{text}"))?;
    }
    Ok(())
}

/// Replaces the blocks that a request has, each as a whole.
pub(crate) fn patched(
    policy: Option<&FirewallPolicy>,
    request: PatchFirewallRequest,
) -> FirewallPolicy {
    let mut patched = policy.cloned().unwrap_or_else(FirewallPolicy::new);
    patched.ingress = request.ingress.or(patched.ingress);
    patched.egress = request.egress.or(patched.egress);
    patched.dns = request.dns.or(patched.dns);
    patched
}

/// The policy with its defaults filled in, and a rule for each service behind its rules.
pub(crate) fn effective<'a>(
    policy: Option<&FirewallPolicy>,
    services: impl IntoIterator<Item = &'a Service>,
) -> FirewallPolicy {
    let policy = policy.cloned().unwrap_or_else(FirewallPolicy::new);
    let mut ingress = policy
        .ingress
        .unwrap_or_else(|| IngressPolicy::new(PolicyAction::Deny));
    let rules = ingress.rules.get_or_insert_default();
    rules.extend(services.into_iter().map(service_rule));
    let mut egress = policy
        .egress
        .unwrap_or_else(|| EgressPolicy::new(PolicyAction::Allow));
    egress.rules.get_or_insert_default();
    let mut dns = policy.dns.unwrap_or_else(DnsPolicy::new);
    dns.mode.get_or_insert(DnsMode::Deny);
    dns.domains.get_or_insert_default();
    dns.block_bypass.get_or_insert(false);
    FirewallPolicy::new()
        .ingress(ingress)
        .egress(egress)
        .dns(dns)
}

fn service_rule(service: &Service) -> IngressRule {
    IngressRule::new(
        PolicyAction::Allow,
        IngressRuleKind::Cidr,
        "::/0",
        TransportProtocol::Tcp,
        service.port.to_string(),
    )
    .description(format!("auto: proxy service {}", service.name))
}

fn check_ingress(ingress: &IngressPolicy) -> Result<(), String> {
    check_action("default", &ingress.default)?;
    for (place, rule) in ingress.rules.iter().flatten().enumerate() {
        let checked = check_traffic(&rule.action, &rule.protocol, &rule.ports).and_then(|()| {
            match &rule.kind {
                IngressRuleKind::Cidr => check_cidr(&rule.value),
                other => Err(format!("kind: {:?} is not \"cidr\"", other.as_str())),
            }
        });
        checked.map_err(|text| format!("rules[{place}].{text}"))?;
    }
    Ok(())
}

fn check_egress(egress: &EgressPolicy, dns: Option<&DnsPolicy>) -> Result<(), String> {
    check_action("default", &egress.default)?;
    for (place, rule) in egress.rules.iter().flatten().enumerate() {
        let checked = check_traffic(&rule.action, &rule.protocol, &rule.ports).and_then(|()| {
            match &rule.kind {
                EgressRuleKind::Cidr => check_cidr(&rule.value),
                EgressRuleKind::Fqdn => check_fqdn(&rule.value, dns),
                other => Err(format!(
                    "kind: {:?} is neither \"cidr\" nor \"fqdn\"",
                    other.as_str()
                )),
            }
        });
        checked.map_err(|text| format!("rules[{place}].{text}"))?;
    }
    Ok(())
}

fn check_dns(dns: &DnsPolicy) -> Result<(), String> {
    if let Some(DnsMode::Unknown(mode)) = &dns.mode {
        return Err(format!("mode: {mode:?} is neither \"allow\" nor \"deny\""));
    }
    for (place, domain) in dns.domains.iter().flatten().enumerate() {
        Domain::parse(domain).map_err(|text| format!("domains[{place}]: {text}"))?;
    }
    Ok(())
}

fn check_action(field: &str, action: &PolicyAction) -> Result<(), String> {
    match action {
        PolicyAction::Unknown(action) => Err(format!(
            "{field}: {action:?} is neither \"allow\" nor \"deny\""
        )),
        _ => Ok(()),
    }
}

fn check_traffic(
    action: &PolicyAction,
    protocol: &TransportProtocol,
    ports: &str,
) -> Result<(), String> {
    check_action("action", action)?;
    match protocol {
        TransportProtocol::Unknown(protocol) => Err(format!(
            "protocol: {protocol:?} is none of \"tcp\", \"udp\", \"any\""
        )),
        TransportProtocol::Any if ports != ANY => Err(format!(
            "ports: {ports:?} is not \"any\", which the protocol \"any\" demands"
        )),
        _ if are_ports(ports) => Ok(()),
        _ => Err(format!(
            "ports: {ports:?} is no port from 1 to 65535, no range such as \"3000-3010\" and not \
             \"any\""
        )),
    }
}

fn are_ports(ports: &str) -> bool {
    if ports == ANY {
        return true;
    }
    match ports.split_once('-') {
        None => port(ports).is_some(),
        Some((low, high)) => {
            matches!((port(low), port(high)), (Some(low), Some(high)) if low <= high)
        }
    }
}

/// A port, written in the one usual way.
fn port(digits: &str) -> Option<u16> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_plain)
}

/// Bits beyond the prefix may be set, as in `10.0.0.1/8`: the rule means its network all the same.
fn check_cidr(value: &str) -> Result<(), String> {
    match value.parse::<IpNet>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "value: {value:?} is no CIDR such as \"10.0.0.0/8\" or \"2001:db8::/32\""
        )),
    }
}

fn check_fqdn(value: &str, dns: Option<&DnsPolicy>) -> Result<(), String> {
    let domain = Domain::parse(value).map_err(|text| format!("value: {text}"))?;
    let Some(dns) = dns else {
        return Ok(());
    };
    let listed = dns.domains.iter().flatten();
    let mut listed = listed.filter_map(|listed| Domain::parse(listed).ok());
    let is_dead = match dns.mode {
        Some(DnsMode::Allow) => !listed.any(|listed| listed.meets(&domain)),
        _ => listed.any(|listed| listed.covers(&domain)),
    };
    if is_dead {
        return Err(format!(
            "value: {value:?} is a dead rule: the dns block stops the domain"
        ));
    }
    Ok(())
}

/// A domain in lower case, or with `*.` in front of it all that is below it, at any depth.
#[derive(Debug)]
struct Domain {
    suffix: String,
    is_wildcard: bool,
}

impl Domain {
    fn parse(text: &str) -> Result<Self, String> {
        let (suffix, is_wildcard) = match text.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (text, false),
        };
        let labels = suffix.split('.');
        // An address is no domain.
        let ends_in_number = labels.clone().next_back().is_some_and(is_number);
        if suffix.len() > MOST_DOMAIN_BYTES || ends_in_number || !labels.clone().all(is_label) {
            return Err(format!(
                "{text:?} is no domain such as \"example.com\" or \"*.example.com\""
            ));
        }
        Ok(Self {
            suffix: suffix.to_ascii_lowercase(),
            is_wildcard,
        })
    }

    /// Whether each name that the other means is one that this means.
    fn covers(&self, other: &Self) -> bool {
        let is_same = self.suffix == other.suffix;
        if !self.is_wildcard {
            return is_same && !other.is_wildcard;
        }
        let is_below = other
            .suffix
            .strip_suffix(self.suffix.as_str())
            .is_some_and(|front| front.ends_with('.'));
        is_below || is_same && other.is_wildcard
    }

    /// Whether some name is meant by both.
    fn meets(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

fn is_label(label: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MOST_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(is_plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_number(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use fastvm_api::types::EgressRule;

    use super::*;

    fn egress(kind: &str, value: &str, protocol: &str, ports: &str) -> FirewallPolicy {
        let rule = EgressRule::new("allow", kind, value, protocol, ports);
        FirewallPolicy::new().egress(EgressPolicy::new("deny").rules(rule))
    }

    fn refusal(policy: &FirewallPolicy) -> String {
        check(policy).unwrap_err()
    }

    #[test]
    fn ports_are_one_or_a_range_or_any() {
        for ports in ["1", "80", "65535", "3000-3010", "80-80", "any"] {
            assert_eq!(check(&egress("cidr", "::/0", "tcp", ports)), Ok(()));
        }
        for ports in [
            "", "0", "080", "65536", "-1", "+1", "1-", "-", "2-1", "1-2-3", "1,2", " 80", "ANY",
            "0-9",
        ] {
            let refusal = refusal(&egress("cidr", "::/0", "udp", ports));
            assert!(refusal.starts_with("egress.rules[0].ports: "), "{refusal}");
        }
        assert_eq!(check(&egress("cidr", "::/0", "any", "any")), Ok(()));
        assert!(refusal(&egress("cidr", "::/0", "any", "80")).contains("demands"));
    }

    #[test]
    fn a_cidr_has_a_prefix_and_may_have_host_bits() {
        for value in [
            "10.0.0.0/8",
            "10.0.0.1/8",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::1/128",
        ] {
            assert_eq!(
                check(&egress("cidr", value, "tcp", "any")),
                Ok(()),
                "{value}"
            );
        }
        for value in [
            "",
            "10.0.0.1",
            "::1",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "x/8",
        ] {
            let refusal = refusal(&egress("cidr", value, "tcp", "any"));
            assert!(refusal.starts_with("egress.rules[0].value: "), "{refusal}");
        }
    }

    #[test]
    fn a_domain_has_at_most_one_wildcard_in_front() {
        for value in [
            "example.com",
            "*.example.com",
            "A-b.example",
            "_x.example",
            "intranet",
        ] {
            assert_eq!(
                check(&egress("fqdn", value, "tcp", "443")),
                Ok(()),
                "{value}"
            );
        }
        let long = "a.".repeat(127) + "com";
        for value in [
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
            "http://a.com",
            &long,
        ] {
            let refusal = refusal(&egress("fqdn", value, "tcp", "443"));
            assert!(refusal.starts_with("egress.rules[0].value: "), "{refusal}");
        }
    }

    #[test]
    fn values_that_nobody_knows_are_refused_with_their_path() {
        let rule = |action, kind, protocol| IngressRule::new(action, kind, "::/0", protocol, "any");
        let ingress = |rule| {
            let good = IngressRule::new("allow", "cidr", "::/0", "tcp", "80");
            FirewallPolicy::new().ingress(IngressPolicy::new("deny").rules(good).rules(rule))
        };
        for (policy, path) in [
            (
                ingress(rule("drop", "cidr", "tcp")),
                "ingress.rules[1].action: ",
            ),
            (
                ingress(rule("allow", "fqdn", "tcp")),
                "ingress.rules[1].kind: ",
            ),
            (
                ingress(rule("allow", "cidr", "icmp")),
                "ingress.rules[1].protocol: ",
            ),
            (
                egress("url", "::/0", "tcp", "any"),
                "egress.rules[0].kind: ",
            ),
            (
                FirewallPolicy::new().egress(EgressPolicy::new("reject")),
                "egress.default: ",
            ),
            (
                FirewallPolicy::new().dns(DnsPolicy::new().mode("off")),
                "dns.mode: ",
            ),
            (
                FirewallPolicy::new().dns(DnsPolicy::new().domains("a.com").domains("*")),
                "dns.domains[1]: ",
            ),
        ] {
            let refusal = refusal(&policy);
            assert!(refusal.starts_with(path), "{refusal}");
        }
    }

    #[test]
    fn a_rule_for_a_domain_that_the_dns_stops_is_dead() {
        let is_dead = |mode: &str, listed: &str, value: &str| {
            let dns = DnsPolicy::new().mode(mode).domains(listed);
            check(&egress("fqdn", value, "tcp", "443").dns(dns)).is_err()
        };
        for (listed, value, stopped) in [
            ("a.com", "a.com", true),
            ("A.com", "a.COM", true),
            ("a.com", "b.a.com", false),
            ("a.com", "*.a.com", false),
            ("*.a.com", "a.com", false),
            ("*.a.com", "b.a.com", true),
            ("*.a.com", "c.b.a.com", true),
            ("*.a.com", "xa.com", false),
            ("*.a.com", "*.a.com", true),
            ("*.a.com", "*.b.a.com", true),
            ("*.b.a.com", "*.a.com", false),
        ] {
            assert_eq!(
                is_dead("deny", listed, value),
                stopped,
                "deny {listed} {value}"
            );
        }
        for (listed, value, stopped) in [
            ("a.com", "a.com", false),
            ("a.com", "b.com", true),
            ("*.a.com", "b.a.com", false),
            ("*.a.com", "a.com", true),
            ("b.a.com", "*.a.com", false),
            ("a.com", "*.a.com", true),
            ("*.b.com", "*.a.com", true),
        ] {
            assert_eq!(
                is_dead("allow", listed, value),
                stopped,
                "allow {listed} {value}"
            );
        }
        let closed = DnsPolicy::new().mode("allow");
        assert!(check(&egress("fqdn", "a.com", "tcp", "443").dns(closed)).is_err());
    }

    #[test]
    fn what_is_in_force_has_all_blocks_and_a_rule_for_each_service() {
        let services = [Service::new("web", 8080, false)];
        let policy = effective(None, &services);
        let expected = serde_json::json!({
            "ingress": {"default": "deny", "rules": [{
                "action": "allow", "kind": "cidr", "value": "::/0", "protocol": "tcp",
                "ports": "8080", "description": "auto: proxy service web",
            }]},
            "egress": {"default": "allow", "rules": []},
            "dns": {"mode": "deny", "domains": [], "blockBypass": false},
        });
        assert_eq!(serde_json::to_value(policy).unwrap(), expected);
    }
}
