//! What goes wrong, and when: faults of the server by chance, and faults of single connections.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use fastvm_local::Fault;
use fastvm_tests::{Trouble, Way};

use crate::World;

/// How long the weather stays as it is.
const FRONT: Duration = Duration::from_millis(500);

/// Operations whose calls have a limit of their own, so that one that never ends ends.
const LIMITED: [&str; 16] = [
    "launchVm",
    "getVm",
    "listVms",
    "deleteVm",
    "pauseVm",
    "resumeVm",
    "updateVm",
    "refreshVmTtl",
    "createSnapshot",
    "getSnapshot",
    "presignFile",
    "registerService",
    "createVolume",
    "attachVolume",
    "storage.put",
    "storage.get",
];

/// Texts of requests, and whether a request that is stuck ends by a limit.
const REQUESTS: [(&str, bool); 9] = [
    ("POST /v1/vms HTTP", true),
    ("GET /v1/vms", true),
    ("DELETE /v1/vms", true),
    ("POST /v1/snapshots", true),
    ("/presign HTTP", true),
    ("PUT /_storage", true),
    ("GET /_storage", true),
    ("/exec HTTP", false),
    ("/fetch HTTP", false),
];

/// Changes the weather until it is aborted.
pub(crate) async fn change(world: Arc<World>) {
    let mut rng = Rng::with_seed(world.seed);
    loop {
        calm_server(&world);
        world.proxy.heal();
        // Some time is quiet, so that long jobs are done at all.
        let faults = if rng.u8(..4) == 0 { 0 } else { rng.usize(1..6) };
        for _ in 0..faults {
            let (name, fault) = of_server(&mut rng);
            let id = world.server.faults().add(fault);
            id.unwrap_or_else(|error| panic!("{name}: {error}"));
            world.tally.fault(name);
        }
        if faults > 0 && rng.u8(..6) == 0 {
            world.proxy.reset_all();
            world.tally.fault("reset of all connections".to_owned());
        }
        for _ in 0..10 {
            if faults > 0 {
                of_connection(&world, &mut rng);
            }
            tokio::time::sleep(FRONT / 10).await;
        }
    }
}

/// Nothing goes wrong from here on.
pub(crate) fn calm(world: &World) {
    calm_server(world);
    world.proxy.heal();
    // What is stuck stays stuck: it is cut.
    world.proxy.reset_all();
}

fn calm_server(world: &World) {
    world.server.faults().clear();
}

fn of_server(rng: &mut Rng) -> (String, Fault) {
    let after_head = |rng: &mut Rng| rng.u64(..300);
    let (name, fault, chance) = match rng.u8(..15) {
        0 => (
            "status 503",
            Fault::status(503).header("retry-after", "0"),
            0.2,
        ),
        1 => (
            "status 429",
            Fault::status(429).header("retry-after-ms", "100"),
            0.2,
        ),
        2 => ("status 500", Fault::status(500), 0.1),
        3 => (
            "status 502",
            Fault::status(502).body("<html>Bad Gateway</html>"),
            0.1,
        ),
        4 => (
            "status 504",
            Fault::status(504).header("retry-after", "1"),
            0.05,
        ),
        5 => (
            "delay",
            Fault::delay(Duration::from_millis(rng.u64(..400))),
            0.2,
        ),
        6 => ("cut", Fault::cut(), 0.1),
        7 => ("cut after work", Fault::cut_after_work(), 0.1),
        8 => ("cut body", Fault::cut_body_after(after_head(rng)), 0.1),
        9 => ("truncated body", Fault::truncate_body(after_head(rng)), 0.1),
        10 => ("no exit event", Fault::no_exit_event(), 0.2),
        11 => (
            "death of a VM",
            Fault::vm_dies_after(after_head(rng)).on("execVm"),
            0.02,
        ),
        12 => ("failing boot", Fault::failing_boot(), 0.2),
        13 => (
            "slow boot",
            Fault::slow_boot(Duration::from_millis(rng.u64(..800))),
            0.5,
        ),
        _ if rng.bool() => {
            let operation = LIMITED[rng.usize(..LIMITED.len())];
            ("stall", Fault::stall().on(operation), 0.2)
        }
        // Only where there are checksums.
        _ => ("corrupt body", Fault::corrupt_body().on("storage.get"), 0.5),
    };
    (name.to_owned(), fault.probability(chance))
}

fn of_connection(world: &World, rng: &mut Rng) {
    let (text, is_limited) = REQUESTS[rng.usize(..REQUESTS.len())];
    let is_storage = text.contains("_storage");
    let way = if rng.bool() {
        Way::ToServer
    } else {
        Way::ToClient
    };
    let far = if is_storage { 400_000 } else { 500 };
    let after = if rng.bool() {
        rng.u64(..far)
    } else {
        rng.u64(..400)
    };
    let (name, trouble, after) = match rng.u8(..8) {
        0 | 1 => ("reset", Trouble::Reset, after),
        2 => ("close", Trouble::Close, after),
        3 => ("half-close", Trouble::HalfClose, after),
        4 => (
            "delay",
            Trouble::Delay(Duration::from_millis(rng.u64(..500))),
            after,
        ),
        5 => (
            "throttle",
            Trouble::Throttle(rng.u64(20_000..2_000_000)),
            after,
        ),
        6 if is_limited => ("stall", Trouble::Stall, after),
        // The head of a request has no protection: another id in it would be another request. The
        // body of an upload has, as has all of an answer.
        7 if way == Way::ToClient => ("corrupt", Trouble::Corrupt(1), after),
        7 if text.starts_with("PUT") => ("corrupt", Trouble::Corrupt(1), after + 2000),
        _ => return,
    };
    world
        .proxy
        .add(trouble.of(way).when(text).after(after).once());
    world.tally.fault(format!("{name} {way:?}"));
}
