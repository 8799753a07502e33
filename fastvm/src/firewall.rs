//! Firewall policies that are checked before they are sent.

use std::net::IpAddr;
use std::ops::{RangeFull, RangeInclusive};

use fastvm_api::types::{
    DnsMode, DnsPolicy, EgressPolicy, EgressRule, EgressRuleKind, FirewallPolicy, IngressPolicy,
    IngressRule, IngressRuleKind, PatchFirewallRequest, PolicyAction, TransportProtocol,
};
use fastvm_api::{Error, ErrorKind, Result};
use ipnet::IpNet;

const ANY: &str = "any";

/// What the DNS allows of a name and of each of its labels.
const MOST_DOMAIN_BYTES: usize = 253;
const MOST_LABEL_BYTES: usize = 63;

/// A firewall policy in the making, checked by [`build`](Self::build) before it is sent.
///
/// Start from a preset ([`deny_all`](Self::deny_all), [`only_domains`](Self::only_domains),
/// [`allow_all`](Self::allow_all)), from the service's defaults ([`new`](Self::new)), or from the
/// policy that a VM has (`Firewall::from(policy)`). What is built goes to a launch
/// (`.firewall(policy)`), to `vm.set_firewall().body(policy)`, which replaces the policy, or, as a
/// [patch](Self::build_patch), to `vm.patch_firewall().body(patch)`, which replaces the blocks that
/// were touched here. Commands, files and the console are no traffic: they work with any policy.
/// The port of a registered service is open to all, whatever the policy says.
///
/// Rules keep the order of the calls.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = fastvm_local::Server::start().await?;
/// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
/// use fastvm::{Firewall, Traffic};
///
/// let policy = Firewall::only_domains(["pypi.org", "*.pythonhosted.org"])
///     .allow_to("10.0.0.0/8", Traffic::tcp(5432))
///     .allow_from("203.0.113.7", Traffic::tcp(8000..=8010))
///     .build()?;
/// let vm = client.vms().launch("c1m2").firewall(policy).await?;
///
/// let vm = vm.set_firewall().body(Firewall::deny_all().build()?).await?;
///
/// let patch = Firewall::new().deny_all_in().build_patch()?; // the other blocks stay
/// vm.patch_firewall().body(patch).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "it is checked and made a policy by `build`"]
pub struct Firewall {
    policy: FirewallPolicy,
}

impl Default for Firewall {
    fn default() -> Self {
        Self::new()
    }
}

impl From<FirewallPolicy> for Firewall {
    fn from(policy: FirewallPolicy) -> Self {
        Self { policy }
    }
}

impl Firewall {
    /// The service's defaults: nothing comes in, everything goes out, every domain resolves.
    pub fn new() -> Self {
        FirewallPolicy::new().into()
    }

    /// No traffic: nothing comes in, nothing goes out, no domain resolves.
    pub fn deny_all() -> Self {
        let nothing = DnsPolicy::new().mode(DnsMode::Allow).set_domains(vec![]);
        FirewallPolicy::new()
            .ingress(IngressPolicy::new(PolicyAction::Deny))
            .egress(EgressPolicy::new(PolicyAction::Deny))
            .dns(nothing)
            .into()
    }

    /// All traffic, both ways.
    pub fn allow_all() -> Self {
        let everything = DnsPolicy::new().mode(DnsMode::Deny).set_domains(vec![]);
        FirewallPolicy::new()
            .ingress(IngressPolicy::new(PolicyAction::Allow))
            .egress(EgressPolicy::new(PolicyAction::Allow))
            .dns(everything)
            .into()
    }

    /// [`deny_all`](Self::deny_all), but for traffic to these domains:
    /// [`allow_domains`](Self::allow_domains).
    pub fn only_domains(domains: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::deny_all().allow_domains(domains)
    }

    /// Lets traffic of every protocol out to these domains, and lets them resolve.
    ///
    /// `*.example.com` stands for all names below `example.com`, at any depth, but not for
    /// `example.com` itself. For particular ports there is [`allow_to`](Self::allow_to).
    pub fn allow_domains(mut self, domains: impl IntoIterator<Item = impl Into<String>>) -> Self {
        for domain in domains {
            let domain = domain.into();
            let mode = self.policy.dns.as_ref().and_then(|dns| dns.mode.as_ref());
            if mode == Some(&DnsMode::Allow) {
                self.dns()
                    .domains
                    .get_or_insert_default()
                    .push(domain.clone());
            }
            let Traffic { protocol, ports } = Traffic::any();
            let kind = EgressRuleKind::Fqdn;
            let rule = EgressRule::new(PolicyAction::Allow, kind, domain, protocol, ports.0);
            self.egress().rules.get_or_insert_default().push(rule);
        }
        self
    }

    /// Denies what comes in, save where a rule allows it. This is the service's default.
    pub fn deny_all_in(mut self) -> Self {
        self.ingress().default = PolicyAction::Deny;
        self
    }

    /// Allows what comes in, save where a rule denies it.
    pub fn allow_all_in(mut self) -> Self {
        self.ingress().default = PolicyAction::Allow;
        self
    }

    /// Denies what goes out, save where a rule allows it.
    pub fn deny_all_out(mut self) -> Self {
        self.egress().default = PolicyAction::Deny;
        self
    }

    /// Allows what goes out, save where a rule denies it. This is the service's default.
    pub fn allow_all_out(mut self) -> Self {
        self.egress().default = PolicyAction::Allow;
        self
    }

    /// Allows this traffic from these addresses: one (`203.0.113.7`) or a block in CIDR form
    /// (`203.0.113.0/24`, `::/0`).
    pub fn allow_from(self, source: impl AsRef<str>, traffic: Traffic) -> Self {
        self.rule_in(PolicyAction::Allow, source.as_ref(), traffic)
    }

    /// Denies this traffic from these addresses, as [`allow_from`](Self::allow_from) takes them.
    pub fn deny_from(self, source: impl AsRef<str>, traffic: Traffic) -> Self {
        self.rule_in(PolicyAction::Deny, source.as_ref(), traffic)
    }

    /// Allows this traffic to a domain (`example.com`, `*.example.com`), an address or a block of
    /// addresses in CIDR form. It has an effect where outgoing traffic is else denied.
    ///
    /// A domain must resolve: where only listed domains do, list it with
    /// [`resolve_only`](Self::resolve_only), or the rule is dead and refused.
    pub fn allow_to(self, destination: impl AsRef<str>, traffic: Traffic) -> Self {
        self.rule_out(PolicyAction::Allow, destination.as_ref(), traffic)
    }

    /// Denies this traffic to a domain or to addresses, as [`allow_to`](Self::allow_to) takes them.
    pub fn deny_to(self, destination: impl AsRef<str>, traffic: Traffic) -> Self {
        self.rule_out(PolicyAction::Deny, destination.as_ref(), traffic)
    }

    /// Lets these domains resolve and no others. Replaces what was said of domains before.
    pub fn resolve_only(self, domains: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.resolve(DnsMode::Allow, domains)
    }

    /// Lets all domains resolve but these. Replaces what was said of domains before.
    pub fn resolve_all_but(self, domains: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.resolve(DnsMode::Deny, domains)
    }

    /// Whether to block the ways around the VM's own resolver: DNS over TLS, and the addresses of
    /// well-known public servers for DNS over HTTPS, which cuts ordinary HTTPS to those as well.
    pub fn block_dns_bypass(mut self, blocks: bool) -> Self {
        self.dns().block_bypass = Some(blocks);
        self
    }

    /// The policy, if the service would take it. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] with the path of the field, such as `egress.rules[0].ports`: what
    /// is no CIDR, domain or port, a wildcard elsewhere than in front, a rule for every protocol
    /// that names ports, a rule for a domain that does not resolve (a dead rule).
    ///
    /// ```
    /// use fastvm::{Firewall, Traffic};
    ///
    /// let error = Firewall::new().allow_from("10.0.0.0/33", Traffic::tcp(80)).build().unwrap_err();
    /// assert!(error.is_invalid_input());
    /// assert!(error.to_string().contains("ingress.rules[0].value"));
    /// ```
    pub fn build(self) -> Result<FirewallPolicy> {
        match check(&self.policy) {
            Ok(()) => Ok(self.policy),
            Err(text) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the firewall policy is not valid: {text}"),
            )),
        }
    }

    /// The blocks that were touched here, for `vm.patch_firewall().body(patch)`: each replaces the
    /// block of the VM as a whole, and the others stay. Sends nothing.
    ///
    /// # Errors
    ///
    /// Those of [`build`](Self::build). Whether a rule is dead by a block that only the VM has is
    /// for the service to say.
    pub fn build_patch(self) -> Result<PatchFirewallRequest> {
        let policy = self.build()?;
        let mut patch = PatchFirewallRequest::new();
        patch.ingress = policy.ingress;
        patch.egress = policy.egress;
        patch.dns = policy.dns;
        Ok(patch)
    }

    fn ingress(&mut self) -> &mut IngressPolicy {
        let block = &mut self.policy.ingress;
        block.get_or_insert_with(|| IngressPolicy::new(PolicyAction::Deny))
    }

    fn egress(&mut self) -> &mut EgressPolicy {
        let block = &mut self.policy.egress;
        block.get_or_insert_with(|| EgressPolicy::new(PolicyAction::Allow))
    }

    fn dns(&mut self) -> &mut DnsPolicy {
        self.policy.dns.get_or_insert_with(DnsPolicy::new)
    }

    fn rule_in(mut self, action: PolicyAction, source: &str, traffic: Traffic) -> Self {
        let Traffic { protocol, ports } = traffic;
        let kind = IngressRuleKind::Cidr;
        let rule = IngressRule::new(action, kind, block_of(source), protocol, ports.0);
        self.ingress().rules.get_or_insert_default().push(rule);
        self
    }

    fn rule_out(mut self, action: PolicyAction, destination: &str, traffic: Traffic) -> Self {
        let Traffic { protocol, ports } = traffic;
        let value = block_of(destination);
        let kind = match looks_like_addresses(&value) {
            true => EgressRuleKind::Cidr,
            false => EgressRuleKind::Fqdn,
        };
        let rule = EgressRule::new(action, kind, value, protocol, ports.0);
        self.egress().rules.get_or_insert_default().push(rule);
        self
    }

    fn resolve(
        mut self,
        mode: DnsMode,
        domains: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let dns = self.dns();
        dns.mode = Some(mode);
        dns.domains = Some(domains.into_iter().map(Into::into).collect());
        self
    }
}

/// What a rule is about: a protocol and its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    protocol: TransportProtocol,
    ports: Ports,
}

impl Traffic {
    /// Every protocol, on all ports.
    pub fn any() -> Self {
        Self {
            protocol: TransportProtocol::Any,
            ports: Ports::from(..),
        }
    }

    /// TCP to one port (`443`), a range with both ends (`3000..=3010`) or all ports (`..`).
    pub fn tcp(ports: impl Into<Ports>) -> Self {
        Self {
            protocol: TransportProtocol::Tcp,
            ports: ports.into(),
        }
    }

    /// UDP to one port (`53`), a range with both ends (`3000..=3010`) or all ports (`..`).
    pub fn udp(ports: impl Into<Ports>) -> Self {
        Self {
            protocol: TransportProtocol::Udp,
            ports: ports.into(),
        }
    }
}

/// Ports of a rule, made of `443`, `3000..=3010` or `..`. From 1 to 65535: see [`Firewall::build`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(String);

impl From<u16> for Ports {
    fn from(port: u16) -> Self {
        Self(port.to_string())
    }
}

impl From<RangeInclusive<u16>> for Ports {
    fn from(ports: RangeInclusive<u16>) -> Self {
        Self(format!("{}-{}", ports.start(), ports.end()))
    }
}

impl From<RangeFull> for Ports {
    fn from(_: RangeFull) -> Self {
        Self(ANY.to_owned())
    }
}

/// A single address as the block of it alone; anything else as it is.
fn block_of(text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address).to_string(),
        Err(_) => text.to_owned(),
    }
}

/// Whether someone who wrote this meant addresses: no domain has a slash or a colon.
fn looks_like_addresses(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'/');
    text.contains(['/', ':']) && text.bytes().all(is_part)
}

/// What the service would refuse, with the field's path in the policy.
fn check(policy: &FirewallPolicy) -> Result<(), String> {
    if let Some(ingress) = &policy.ingress {
        check_action("ingress.default", &ingress.default)?;
        for (place, rule) in ingress.rules.iter().flatten().enumerate() {
            check_ingress_rule(rule).map_err(|text| format!("ingress.rules[{place}].{text}"))?;
        }
    }
    if let Some(dns) = &policy.dns {
        check_dns(dns)?;
    }
    if let Some(egress) = &policy.egress {
        check_action("egress.default", &egress.default)?;
        for (place, rule) in egress.rules.iter().flatten().enumerate() {
            check_egress_rule(rule, policy.dns.as_ref())
                .map_err(|text| format!("egress.rules[{place}].{text}"))?;
        }
    }
    Ok(())
}

fn check_ingress_rule(rule: &IngressRule) -> Result<(), String> {
    check_traffic(&rule.action, &rule.protocol, &rule.ports)?;
    match &rule.kind {
        IngressRuleKind::Unknown(kind) => Err(unknown("kind", kind)),
        _ => check_cidr(&rule.value),
    }
}

fn check_egress_rule(rule: &EgressRule, dns: Option<&DnsPolicy>) -> Result<(), String> {
    check_traffic(&rule.action, &rule.protocol, &rule.ports)?;
    match &rule.kind {
        EgressRuleKind::Cidr => check_cidr(&rule.value),
        EgressRuleKind::Fqdn => check_fqdn(&rule.value, dns),
        EgressRuleKind::Unknown(kind) => Err(unknown("kind", kind)),
        // One that a newer document has: the service knows its values.
        _ => Ok(()),
    }
}

fn check_dns(dns: &DnsPolicy) -> Result<(), String> {
    if let Some(DnsMode::Unknown(mode)) = &dns.mode {
        return Err(unknown("dns.mode", mode));
    }
    for (place, domain) in dns.domains.iter().flatten().enumerate() {
        Domain::parse(domain).map_err(|text| format!("dns.domains[{place}]: {text}"))?;
    }
    Ok(())
}

fn check_action(path: &str, action: &PolicyAction) -> Result<(), String> {
    match action {
        PolicyAction::Unknown(action) => Err(unknown(path, action)),
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
        TransportProtocol::Unknown(protocol) => Err(unknown("protocol", protocol)),
        TransportProtocol::Any if ports != ANY => Err(format!(
            "ports: {ports:?} cannot be with the protocol \"any\", which has \"any\" only"
        )),
        _ if ports == ANY || are_ports(ports) => Ok(()),
        _ => Err(format!(
            "ports: {ports:?} is no port from 1 to 65535 and no range such as \"3000-3010\""
        )),
    }
}

fn unknown(path: &str, value: &str) -> String {
    format!("{path}: {value:?} is none of the values it can have")
}

fn are_ports(ports: &str) -> bool {
    let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
    matches!((port(low), port(high)), (Some(low), Some(high)) if low <= high)
}

/// A port, written in the one usual way.
fn port(digits: &str) -> Option<u16> {
    let port = digits.parse().ok().filter(|port| *port > 0);
    port.filter(|port: &u16| port.to_string() == digits)
}

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
    match dns {
        Some(dns) if !can_resolve(&domain, dns) => Err(format!(
            "value: the rule for {value:?} is dead, since the dns block stops the domain"
        )),
        _ => Ok(()),
    }
}

/// Whether some name that the rule means resolves.
fn can_resolve(domain: &Domain<'_>, dns: &DnsPolicy) -> bool {
    let listed = dns.domains.iter().flatten();
    let mut listed = listed.filter_map(|listed| Domain::parse(listed).ok());
    match dns.mode {
        Some(DnsMode::Allow) => {
            listed.any(|listed| listed.covers(domain) || domain.covers(&listed))
        }
        _ => !listed.any(|listed| listed.covers(domain)),
    }
}

/// A domain, or with `*.` in front of it all that is below it, at any depth.
struct Domain<'a> {
    labels: Vec<&'a str>,
    is_wildcard: bool,
}

impl<'a> Domain<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let (name, is_wildcard) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let labels: Vec<_> = name.split('.').collect();
        let is_number = |label: &&str| label.bytes().all(|byte| byte.is_ascii_digit());
        let ends_like_address = labels.last().is_some_and(is_number);
        let is_valid =
            name.len() <= MOST_DOMAIN_BYTES && labels.iter().all(|label| is_label(label));
        match is_valid && !ends_like_address {
            true => Ok(Self {
                labels,
                is_wildcard,
            }),
            false => Err(format!(
                "{text:?} is no domain such as \"example.com\" or \"*.example.com\""
            )),
        }
    }

    /// Whether each name that the other means is one that this means.
    fn covers(&self, other: &Domain<'_>) -> bool {
        let Some(front) = other.labels.len().checked_sub(self.labels.len()) else {
            return false;
        };
        let tail = other.labels.iter().skip(front);
        let ends_alike = (self.labels.iter().zip(tail)).all(|(a, b)| a.eq_ignore_ascii_case(b));
        let reaches = match self.is_wildcard {
            true => front > 0 || other.is_wildcard,
            false => front == 0 && !other.is_wildcard,
        };
        ends_alike && reaches
    }
}

fn is_label(label: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MOST_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(is_plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
}
