//! The works that are measured, whoever does them.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{Caller, Done, Meter, memory};
use crate::Report;

/// How many calls each task of a client makes before it is measured, so that its connection is there.
const WARM_UP: usize = 20;

pub(super) async fn run<C: Caller>(work: String, parameters: Vec<String>) -> Done<Report> {
    let text = |index: usize| {
        parameters
            .get(index)
            .map(String::as_str)
            .unwrap_or_default()
    };
    let number = |index: usize| text(index).parse::<usize>();
    match &*work {
        "first" => first::<C>().await,
        "runs" => runs::<C>(text(0), number(1)?, number(2)?).await,
        "streams" => streams::<C>(text(0), number(1)?).await,
        "ticks" => ticks::<C>(text(0)).await,
        "upload" => upload::<C>(Path::new(text(0)), number(1)?).await,
        "download" => download::<C>(Path::new(text(0)), Path::new(text(1)), number(2)?).await,
        "launches" => launches::<C>(number(0)?, number(1)?).await,
        "waits" => waits::<C>(number(0)?, number(1)?).await,
        "lists" => lists::<C>(number(0)?, number(1)?).await,
        "runs-at-once" => runs_at_once::<C>(number(0)?).await,
        "streams-at-once" => streams_at_once::<C>(text(0), number(1)?).await,
        "runs-beside" => runs_beside::<C>(text(0), number(1)?).await,
        "clients" => clients::<C>(number(0)?).await,
        "open" => open::<C>(number(0)?).await,
        "handles" => handles::<C>(number(0)?).await,
        _ => Err(format!("there is no work `{work}`").into()),
    }
}

/// What a program does that makes one call.
async fn first<C: Caller>() -> Done<Report> {
    let meter = Meter::start();
    C::new()?.run("run").await?;
    Ok(meter.stop(1))
}

/// So many runs, so many of them at a time.
async fn runs<C: Caller>(vm: &str, count: usize, at_once: usize) -> Done<Report> {
    let caller = C::new()?;
    let each = (count / at_once).max(1);
    spread_out(&caller, "run", at_once, WARM_UP).await?;
    let meter = Meter::start();
    spread_out(&caller, vm, at_once, each).await?;
    Ok(meter.stop(each * at_once))
}

async fn spread_out<C: Caller>(caller: &C, vm: &str, tasks: usize, each: usize) -> Done<()> {
    // A caller with one thing to do at a time needs no further task.
    if tasks == 1 {
        for _ in 0..each {
            caller.run(vm).await?;
        }
        return Ok(());
    }
    let mut set = JoinSet::new();
    for _ in 0..tasks {
        let (caller, vm) = (caller.clone(), vm.to_owned());
        set.spawn(async move {
            for _ in 0..each {
                caller.run(&vm).await?;
            }
            Ok(())
        });
    }
    all(set).await?;
    Ok(())
}

async fn all<T: 'static>(mut set: JoinSet<Done<T>>) -> Done<Vec<T>> {
    let mut results = Vec::new();
    while let Some(done) = set.join_next().await {
        results.push(done??);
    }
    Ok(results)
}

/// So many streams, one after the other, each to its exit.
async fn streams<C: Caller>(vm: &str, count: usize) -> Done<Report> {
    let caller = C::new()?;
    caller.stream("stream-6-1", |_| {}).await?;
    let meter = Meter::start();
    let (mut bytes, mut events) = (0, 0);
    for _ in 0..count {
        let each = |piece: &[u8]| {
            bytes += piece.len();
            events += 1;
        };
        caller.stream(vm, each).await?;
    }
    let mut report = meter.stop(events);
    report.insert("bytes".to_owned(), bytes as f64);
    Ok(report)
}

/// How long after it was sent an event is in the hands of the user.
async fn ticks<C: Caller>(vm: &str) -> Done<Report> {
    let caller = C::new()?;
    let mut delays = Vec::new();
    let each = |piece: &[u8]| {
        let now = crate::now_ns();
        let sent = std::str::from_utf8(piece)
            .ok()
            .and_then(|text| text.parse().ok());
        delays.push(now.saturating_sub(sent.unwrap_or(0)) as f64 / 1e9);
    };
    caller.stream(vm, each).await?;
    Ok(spread(delays))
}

async fn upload<C: Caller>(local: &Path, items: usize) -> Done<Report> {
    let caller = C::new()?;
    caller.run("run").await?;
    let meter = Meter::start();
    caller.upload(local).await?;
    Ok(meter.stop(items))
}

async fn download<C: Caller>(remote: &Path, local: &Path, items: usize) -> Done<Report> {
    let caller = C::new()?;
    caller.run("run").await?;
    let meter = Meter::start();
    caller.download(remote, local).await?;
    Ok(meter.stop(items))
}

/// How late the launches of VMs with about this boot time are.
async fn launches<C: Caller>(boot_ms: usize, count: usize) -> Done<Report> {
    let caller = C::new()?;
    caller.run("run").await?;
    let mut delays = Vec::new();
    for _ in 0..count {
        delays.push(late(&caller, jittered(boot_ms)).await?);
    }
    let mut report = spread(delays);
    report.insert("items".to_owned(), count as f64);
    Ok(report)
}

/// How late many are that wait at the same time.
async fn waits<C: Caller>(boot_ms: usize, count: usize) -> Done<Report> {
    let caller = C::new()?;
    caller.run("run").await?;
    let mut set = JoinSet::new();
    for _ in 0..count {
        let caller = caller.clone();
        set.spawn(async move { late(&caller, jittered(boot_ms)).await });
    }
    Ok(spread(all(set).await?))
}

async fn late<C: Caller>(caller: &C, boot_ms: usize) -> Done<f64> {
    let start = Instant::now();
    caller.launch(&format!("boot-{boot_ms}")).await?;
    let boot = Duration::from_millis(boot_ms as u64);
    Ok(start.elapsed().saturating_sub(boot).as_secs_f64())
}

/// By up to a fifth more or less.
fn jittered(boot_ms: usize) -> usize {
    fastrand::usize(boot_ms * 4 / 5..=boot_ms * 6 / 5)
}

/// So many lists, of so many VMs each.
async fn lists<C: Caller>(entries: usize, count: usize) -> Done<Report> {
    let caller = C::new()?;
    caller.list(entries).await?;
    let meter = Meter::start();
    for _ in 0..count {
        caller.list(entries).await?;
    }
    Ok(meter.stop(entries * count))
}

async fn runs_at_once<C: Caller>(count: usize) -> Done<Report> {
    let caller = C::new()?;
    caller.run("run").await?;
    let mut set = JoinSet::new();
    for _ in 0..count {
        let caller = caller.clone();
        set.spawn(async move {
            let start = Instant::now();
            caller.run("run").await?;
            Ok(start.elapsed().as_secs_f64())
        });
    }
    Ok(spread(all(set).await?))
}

async fn streams_at_once<C: Caller>(vm: &str, count: usize) -> Done<Report> {
    let caller = C::new()?;
    caller.run("run").await?;
    let mut set = JoinSet::new();
    for _ in 0..count {
        let (caller, vm) = (caller.clone(), vm.to_owned());
        set.spawn(async move {
            let start = Instant::now();
            caller.stream(&vm, |_| {}).await?;
            Ok(start.elapsed().as_secs_f64())
        });
    }
    Ok(spread(all(set).await?))
}

/// How long runs take beside streams that have more to say than anybody reads.
async fn runs_beside<C: Caller>(vm: &str, count: usize) -> Done<Report> {
    let caller = C::new()?;
    let streams = opened(&caller, vm, count).await?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        caller.run("run").await?;
        times.push(start.elapsed().as_secs_f64());
    }
    drop(streams);
    Ok(spread(times))
}

async fn opened<C: Caller>(caller: &C, vm: &str, count: usize) -> Done<Vec<C::Open>> {
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(caller.open(vm).await?);
    }
    Ok(streams)
}

/// The memory of one of so many clients that have made a call.
async fn clients<C: Caller>(count: usize) -> Done<Report> {
    let first = C::new()?;
    first.run("run").await?;
    let mut all = Vec::new();
    let before = memory("VmRSS:");
    for _ in 0..count {
        let caller = C::new()?;
        caller.run("run").await?;
        all.push(caller);
    }
    Ok(memory_of_each(before, all))
}

async fn open<C: Caller>(count: usize) -> Done<Report> {
    let caller = C::new()?;
    let _first = caller.open("quiet").await?;
    let before = memory("VmRSS:");
    let streams = opened(&caller, "quiet", count).await?;
    Ok(memory_of_each(before, streams))
}

async fn handles<C: Caller>(count: usize) -> Done<Report> {
    let caller = C::new()?;
    // What the answer as a whole takes is given back and used again.
    caller.list(count).await?;
    let before = memory("VmRSS:");
    let mut all = Vec::new();
    for _ in 0..10 {
        let list = caller.list(count).await?.into_iter();
        all.extend(list.map(|entry| caller.handle(entry)));
    }
    Ok(memory_of_each(before, all))
}

fn memory_of_each<T>(before: f64, all: Vec<T>) -> Report {
    let each = (memory("VmRSS:") - before) / all.len() as f64;
    crate::report([("memory", each)])
}

/// The middle and the far end of some times.
fn spread(mut times: Vec<f64>) -> Report {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        let last = times.len().saturating_sub(1);
        times.get(index.min(last)).copied().unwrap_or(f64::NAN)
    };
    crate::report([("p50", at(0.5)), ("p99", at(0.99)), ("max", at(1.0))])
}
