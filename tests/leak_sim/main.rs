//! The detector's state machine over days in seconds: thousands of programs without a leak, and leaks of many speeds.
//!
//! `HEAPRS_SIM_SERIES=10000 cargo test --release --no-default-features --test leak_sim -- --nocapture` draws more of them.

mod world;

use std::time::Duration;

use heaprs::leak::{Config, Detector, GcKind, Observation, Output, Place, Sensitivity};
use world::{Gc, HOUR, Healthy, MB, Random, Run, run};

const LIMIT: f64 = 4144.0 * MB;

/// The first seed. Whoever changes the detector chooses on seeds below a million and reports on others, each used once.
fn first_seed() -> u64 {
    std::env::var("HEAPRS_SIM_FROM").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000)
}

fn series(usual: u64) -> u64 {
    std::env::var("HEAPRS_SIM_SERIES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn config(sensitivity: Sensitivity) -> Config {
    Config { sensitivity, ..Config::default() }
}

/// A server: young collections every half minute are few for a busy one, but all the same to the detector.
fn server(random: &mut Random, base: f64) -> Gc {
    Gc {
        every: 30.0,
        promoted: base * random.log(1e-6, 1e-3),
        factor: random.between(1.3, 3.0),
        floating: base * random.between(0.0, 0.04),
        limit: LIMIT,
    }
}

/// A program under load in a test: collections many times a second, and marking leaves a megabyte behind or not.
fn under_load(random: &mut Random, base: f64) -> Gc {
    Gc {
        every: 0.08,
        promoted: random.log(0.01 * MB, 5.0 * MB),
        factor: random.between(1.3, 3.0),
        floating: random.between(0.0, 1.2 * MB).max(base * 0.02),
        limit: LIMIT,
    }
}

/// Runs all seeds on the cores there are; gives what `each` gives, in order.
fn all<T: Send>(seeds: u64, each: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut results: Vec<(u64, T)> = std::thread::scope(|scope| {
        let each = &each;
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || {
                    (first..seeds).step_by(threads as usize).map(|seed| (seed, each(seed))).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    results.sort_by_key(|(seed, _)| *seed);
    results.into_iter().map(|(_, result)| result).collect()
}

/// When memwatch's rule would have cried, with nobody asking V8 for collections.
fn memwatch(config: Config, gc: Gc, seconds: f64, seed: u64, live: impl FnMut(f64, &mut Random) -> f64) -> Option<f64> {
    run(config, gc, seconds, &mut Random::new(seed), false, live, |_, _| 1e6).memwatch
}

fn healthy(sensitivity: Sensitivity, seed: u64, day: f64, days: f64, fill: f64, gc: fn(&mut Random, f64) -> Gc) -> Run {
    let mut random = Random::new(first_seed() + seed);
    let mut program = Healthy::draw(&mut random, day, LIMIT, fill);
    let base = program.live(0.0, &mut random).max(10.0 * MB);
    let gc = gc(&mut random, base);
    let off_heap = random.log(0.1 * MB, 50.0 * MB);
    let jitter = random.between(0.0, 0.5);
    let mut twin = program.clone();
    let known = program.clone();
    let live = move |at: f64, random: &mut Random| program.live(at, random);
    let off_heap = move |_: f64, r: &mut Random| off_heap * (1.0 + jitter * r.unit());
    let ours = run(config(sensitivity), gc, days * day, &mut random, true, live, off_heap);
    let memwatch = memwatch(config(sensitivity), gc, days * day, seed, move |at, r| twin.live(at, r));
    let cause = ours.leak.as_ref().map(|(_, v)| known.cause(v.start.as_secs_f64(), v.end.as_secs_f64()));
    Run { memwatch, cause, ..ours }
}

fn false_alarms(runs: &[Run], what: &str, hours: f64) -> usize {
    let alarms: Vec<usize> = (0..runs.len()).filter(|&i| runs[i].leak.is_some()).collect();
    let memwatch = runs.iter().filter(|r| r.memwatch.is_some()).count();
    let asked: u32 = runs.iter().map(|r| r.asked).sum();
    println!(
        "{what}: {} series, {:.0} hours: {} false alarms, {} suspicions; memwatch's rule {memwatch}; {:.2} collections asked for an hour",
        runs.len(),
        hours * runs.len() as f64,
        alarms.len(),
        runs.iter().filter(|r| r.suspected.is_some()).count(),
        f64::from(asked) / (hours * runs.len() as f64),
    );
    for &i in &alarms {
        let Some((at, v)) = &runs[i].leak else { continue };
        println!(
            "  seed {}: {} ({:?}) after {:.2} h: grew by {:.1} MB from {:.2} to {:.2} h, confidence {:.2}",
            first_seed() + i as u64,
            runs[i].cause.unwrap_or_default(),
            v.place,
            at / HOUR,
            v.growth as f64 / MB,
            v.start.as_secs_f64() / HOUR,
            v.end.as_secs_f64() / HOUR,
            v.confidence,
        );
    }
    alarms.len()
}

#[test]
fn healthy_servers_at_medium() {
    // 30,000 hours, in which one false alarm is allowed.
    let runs = all(series(625), |seed| healthy(Sensitivity::Medium, seed, 24.0 * HOUR, 2.0, 0.33, server));
    let alarms = false_alarms(&runs, "medium", 48.0);
    assert!(alarms * 30_000 <= runs.len() * 48, "{alarms}");
}

#[test]
fn healthy_servers_at_low() {
    let runs = all(series(150), |seed| healthy(Sensitivity::Low, seed, 24.0 * HOUR, 7.0, 0.5, server));
    let alarms = false_alarms(&runs, "low", 7.0 * 24.0);
    assert!(alarms * 30_000 <= 2 * runs.len() * 168, "{alarms}");
}

#[test]
fn healthy_programs_at_high() {
    // Their "day" is 25 s: everything that happens to a server by the day happens here in seconds. What swings more slowly can't
    // be told from a leak in so short a time.
    let runs = all(series(600), |seed| healthy(Sensitivity::High, seed, 25.0, 40.0 / 25.0, 0.6, under_load));
    let alarms = false_alarms(&runs, "high", 40.0 / 3600.0);
    assert!(alarms * 100 <= 3 * runs.len(), "{alarms}");
}

/// Runs leaks of `rate` bytes a second on a base, half of them off the heap; gives the time of each alarm.
fn leaks(
    sensitivity: Sensitivity,
    count: u64,
    seconds: f64,
    draw: impl Fn(&mut Random) -> (f64, f64, Gc) + Sync,
) -> Vec<Run> {
    all(count, |seed| {
        let mut random = Random::new(first_seed() + seed);
        let (base, rate, gc) = draw(&mut random);
        let noise = random.log(0.001, 0.01);
        let on_heap = seed % 2 == 0;
        let grows = move |yes: bool| {
            move |at: f64, r: &mut Random| base * (1.0 + noise * r.normal()) + if yes { rate * at } else { 0.0 }
        };
        let found = run(config(sensitivity), gc, seconds, &mut random, true, grows(on_heap), grows(!on_heap));
        if let Some((at, verdict)) = &found.leak {
            assert_eq!(verdict.place, if on_heap { Place::Heap } else { Place::OffHeap });
            let paced = verdict.growth_per_hour / (rate * HOUR);
            assert!((0.5..2.0).contains(&paced), "seed {seed} at {at}: the pace is off by {paced}");
            assert!(verdict.confidence > 0.8 && verdict.confidence <= 1.0, "{verdict:?}");
            assert_eq!(verdict.time_to_limit.is_some(), on_heap);
        }
        found
    })
}

fn recall(runs: &[Run], what: &str) -> f64 {
    let mut times: Vec<f64> = runs.iter().filter_map(|r| r.leak.as_ref().map(|(at, _)| *at)).collect();
    times.sort_by(f64::total_cmp);
    println!(
        "{what}: found {} of {}, median after {:.0} s, latest {:.0} s; memwatch's rule {}",
        times.len(),
        runs.len(),
        times.get(times.len() / 2).unwrap_or(&f64::NAN),
        times.last().unwrap_or(&f64::NAN),
        runs.iter().filter(|r| r.memwatch.is_some()).count()
    );
    times.len() as f64 / runs.len() as f64
}

#[test]
fn one_percent_an_hour_is_found_within_a_day_at_medium() {
    let runs = leaks(Sensitivity::Medium, series(200), 24.0 * HOUR, |random| {
        let base = random.log(50.0 * MB, 800.0 * MB);
        (base, base * 0.01 / HOUR, server(random, base))
    });
    assert!(recall(&runs, "medium, 1 % an hour") >= 0.99);
}

/// Leaks that eat a share of the room under the limit, drawn from `shares`, in an hour.
fn eaten(sensitivity: Sensitivity, shares: (f64, f64), hours: f64) -> f64 {
    let runs = leaks(sensitivity, series(200), hours * HOUR, |random| {
        let base = random.log(50.0 * MB, 800.0 * MB);
        (base, random.between(shares.0, shares.1) * (LIMIT - base) / HOUR, server(random, base))
    });
    recall(&runs, &format!("{sensitivity:?}, {} of the room an hour, after {hours} h", shares.0))
}

#[test]
fn what_eats_a_quarter_of_the_room_in_an_hour_is_found_soon_at_medium() {
    assert!(eaten(Sensitivity::Medium, (0.4, 0.48), 2.0) >= 0.98);
}

#[test]
fn what_eats_the_room_is_found_in_an_hour_as_documented() {
    for (level, found, missed) in [(Sensitivity::Medium, 0.5, 0.4), (Sensitivity::Low, 0.8, 0.6)] {
        assert!(eaten(level, (found, found), 1.0) >= 0.95);
        assert!(eaten(level, (missed, missed), 1.0) <= 0.2, "what is slower than that is not found in an hour");
    }
}

#[test]
fn leaks_are_found_within_forty_seconds_at_high() {
    for (what, rate) in [("0.1", 0.1 * MB), ("0.3", 0.3 * MB), ("3", 3.0 * MB), ("20", 20.0 * MB)] {
        let runs = all(series(100), |seed| {
            let mut random = Random::new(first_seed() + seed);
            let base = random.log(4.0 * MB, 60.0 * MB);
            let gc = under_load(&mut random, base);
            let live = move |at: f64, _: &mut Random| base + rate * at;
            let ours = run(config(Sensitivity::High), gc, 40.0, &mut random, true, live, |_, _| 1e6);
            Run { memwatch: memwatch(config(Sensitivity::High), gc, 40.0, seed, live), ..ours }
        });
        let found = recall(&runs, &format!("high, {what} MB a second"));
        assert!(found >= if rate < 0.2 * MB { 0.5 } else { 0.95 });
        assert!(runs.iter().filter(|r| r.memwatch.is_some()).count() * 10 <= runs.len() * 9);
    }
}

#[test]
fn the_slowest_growth_that_high_finds_in_an_hour_is_the_documented_one() {
    let found = |rate: f64, share: f64| {
        let runs = all(series(20), |seed| {
            let mut random = Random::new(first_seed() + seed);
            let base = random.log(4.0 * MB, 60.0 * MB);
            let rate = (rate * MB).max(share * base) / HOUR;
            let gc = under_load(&mut random, base);
            let live = move |at: f64, r: &mut Random| base * (1.0 + 0.002 * r.normal()) + rate * at;
            run(config(Sensitivity::High), gc, HOUR, &mut random, true, live, |_, _| 1e6)
        });
        recall(&runs, &format!("high, {rate} MB or {share} of the heap an hour"))
    };
    assert!(found(2.0, 0.03) >= 0.95);
    assert!(found(0.2, 0.002) <= 0.2, "what is slower than that is not found in an hour");
}

#[test]
fn min_growth_and_cooldown_are_kept() {
    let grow = |config: Config, seconds: f64| {
        let gc = under_load(&mut Random::new(5), 10.0 * MB);
        let live = |at: f64, _: &mut Random| 10.0 * MB + 0.3 * MB * at;
        run(config, gc, seconds, &mut Random::new(6), true, live, |_, _| 1e6).leaks
    };
    let high = config(Sensitivity::High);
    assert_eq!(grow(high, 300.0), 1, "once in ten minutes");
    assert_eq!(grow(Config { cooldown: Some(Duration::MAX), ..high }, 1000.0), 1);
    let often = grow(Config { cooldown: Some(Duration::from_secs(60)), ..high }, 300.0);
    assert!((4..=5).contains(&often), "{often} in 300 s, one a minute from the first after half a minute");
    // 0.3 MB a second is 9 MB in the window of half a minute, and 90 MB in that of five minutes.
    assert_eq!(grow(Config { min_growth: Some(50 << 20), ..high }, 200.0), 0);
    assert_eq!(grow(Config { min_growth: Some(50 << 20), ..high }, 400.0), 1);
}

#[test]
fn unheard_wishes_are_repeated_rarely_and_harm_nothing() {
    let mut random = Random::new(3);
    let gc = Gc { promoted: 1000.0, factor: 100.0, ..under_load(&mut random, 10.0 * MB) };
    let deaf = run(config(Sensitivity::High), gc, 600.0, &mut random, false, |at, _| 10.0 * MB + 1e4 * at, |_, _| 1e6);
    assert!(deaf.leak.is_none(), "upper bounds alone are no leak");
    assert!(deaf.asked > 10 && deaf.asked < 200, "{}", deaf.asked);
}

/// V8 lets the new space grow to 64 MB and more: a program that allocates little then leaks for long without any collection.
#[test]
fn what_is_young_for_long_is_asked_about() {
    let mut detector = Detector::new(config(Sensitivity::High), Duration::ZERO);
    let see = |detector: &mut Detector, kind: Option<GcKind>, seconds: f64, young: f64| {
        let mut out = Vec::new();
        let seen = Observation {
            at: Duration::from_secs_f64(seconds),
            kind,
            pause: Duration::from_millis(3),
            used_before: None,
            used_after: (10.0 * MB + young) as u64,
            young: Some(young as u64),
            young_room: Some(64 << 20),
            heap_limit: LIMIT as u64,
            external: 1 << 20,
        };
        detector.observe(&seen, &mut out);
        out.drain(..).any(|output| matches!(output, Output::WantFullGc { .. }))
    };
    see(&mut detector, Some(GcKind::MarkSweepCompact), 1.0, 0.0);
    assert!(
        !see(&mut detector, Some(GcKind::Scavenge), 4.0, 2.0 * MB),
        "what a young collection has left lives but for a moment"
    );
    assert!(!see(&mut detector, None, 6.5, 0.0), "nothing has come");
    assert!(see(&mut detector, None, 9.0, 2.0 * MB), "no collection has said that it is garbage");
    see(&mut detector, Some(GcKind::MarkSweepCompact), 9.1, 0.0);
    see(&mut detector, Some(GcKind::Scavenge), 11.5, 0.0);
    assert_eq!(detector.next_tick(), Duration::from_millis(11_600), "when the next one may be asked for");
    see(&mut detector, Some(GcKind::Scavenge), 11.7, 0.0);
    assert_eq!(detector.next_tick(), Duration::from_millis(14_200));
}
