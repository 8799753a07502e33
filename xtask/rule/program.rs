//! Calls what `cargo xtask rule` added to the document. It is compiled, never run.

use fastvm::types::{DnsMode, ExecEventKind, IngressRule, TransportProtocol, VmStatus};
use fastvm::{Client, Patch, Vm};

fn main() {
    let _ = call_all;
}

async fn call_all(client: Client, id: String) -> fastvm::Result<()> {
    // An operation beside overrides, by id and on a handle; what it answers is a handle, too.
    let vm: Vm = client.vms().reboot(&id).await?;
    let vm: Vm = vm.reboot().await?;
    // One without extensions, at its default place.
    let logs = client.vms().get_vm_logs(&id).await?;
    let _: &[String] = &logs.lines;
    vm.get_vm_logs().await?;
    // A resource.
    for region in client.regions().list().await? {
        let _: String = region.name;
    }
    client.regions().create("eu", 3).labels("tier", "1").await?;
    // Fields of requests that overrides carry.
    let launched: Vm = client.vms().launch("c1m2").region("eu").await?;
    let _: Vm = client.vms().restore("snp_1").region("eu").await?;
    let dry = client.vms().launch("c1m2").dry_run(true).wait(false);
    let _: Vm = dry.placement("spread").hints("ssd").zone(Patch::Clear).await?;
    client.vms().run(&id, "true").priority(3).await?;
    let _ = client.vms().stream(&id, "true").priority(3).await?;
    vm.run("true").priority(3).await?;
    let _ = vm.stream("true").priority(3).await?;
    // A field further down in a request, and values of closed sets.
    let rule = IngressRule::new("allow", "cidr", "::/0", TransportProtocol::Sctp, "22").log(true);
    let _: (Vec<IngressRule>, DnsMode, ExecEventKind) =
        (vec![rule], DnsMode::Observe, ExecEventKind::Heartbeat);
    // A query parameter, and the new value as one.
    client.vms().list().region("eu").status("hibernating").await?;
    // A field of an answer, through both derefs.
    let _: Option<&str> = launched.host_region.as_deref();
    // One further down in it.
    for volume in &launched.volumes {
        let _ = volume.mounted_at;
    }
    // The new value has a name.
    match vm.status {
        VmStatus::Hibernating => {}
        _ => {}
    }
    Ok(())
}
