//! Each type with data has one chart and one table, and nothing is counted twice.

use jhe_ow::model::catalog::series::{self, SERIES};
use jhe_ow::model::catalog::series_type::SeriesType;
use jhe_ow::simulator::event::Event;
use jhe_ow::simulator::samples_table::{Row, Source};
use jhe_ow::simulator::vitals::compute_vitals;

use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Adds a patient in Berlin who shares everything; returns the OW user and our number.
fn sharing_patient(world: &World) -> (String, String) {
    patient_who_shares(world, |_| true)
}

/// Adds a patient in Berlin who shares some series types.
fn patient_who_shares(world: &World, shares: impl Fn(&SeriesType) -> bool) -> (String, String) {
    let user = world.sim.add_user();
    let mut add = vec!["patient", "add", "--name", "A", "--tz", "Europe/Berlin", "--ow-user", &user];
    let mut codes: Vec<&str> =
        SERIES.iter().filter(|series| shares(series)).map(|series| series.code).collect();
    codes.sort_unstable();
    codes.dedup();
    add.extend(codes.iter().flat_map(|code| ["--consent", code]));
    add.extend(["--reason", "paper"]);
    let ran = world.run(&add);
    assert_eq!(ran.code, 0, "{ran:?}");
    (user, ran.stdout.trim().to_owned())
}

/// Reads the last days.
fn read_past(world: &World, days: u32) {
    let ran = world.run(&["poll", "--window", &format!("{days}d")]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// Returns the chart of one row of the catalogue.
fn chart<'a>(page: &'a str, series_type: &str) -> Option<&'a str> {
    between(page, &format!("id=\"{series_type}\"><div class=\"title\">"), "</figure>")
}

/// Returns a row of a chart's table as plain text, without its label.
fn cells(chart: &str, row: &str) -> Vec<String> {
    let line = chart
        .split("<tr>")
        .skip(1)
        .find(|line| line.contains(row))
        .unwrap_or_else(|| panic!("{row}: {chart}"));
    let cells = line.split("<td").skip(1).map(|cell| between(cell, ">", "</td>").unwrap());
    cells.map(|cell| cell.replace('\u{a0}', " ")).collect()
}

#[test]
fn each_type_with_data_has_a_chart_and_a_table() {
    let world = World::new();
    let (user, patient) = sharing_patient(&world);
    let told = compute_vitals(1, true, world.now.minus(DAY * 6), world.now);
    told.rows.into_iter().for_each(|row| world.sim.put_row(&user, row));
    for event in told.events {
        world.sim.put_event(&user, event);
    }
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    let others = [
        ("weight", 71.4),
        ("blood_glucose", 95.0),
        ("height", 170.0),
        ("body_temperature", 36.6),
        ("heart_rate_variability_sdnn", 40.0),
        ("forced_vital_capacity", 4.2),
    ];
    for (series_type, value) in others {
        world.sim.put_row(&user, Row::of(series_type, world.now.minus(HOUR), value));
    }
    read_past(&world, 7);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let page = operator.get(&format!("/admin/patients/{patient}/charts?period=week")).body;
    let overview = operator.get(&format!("/admin/patients/{patient}")).body;
    let has_none = |series: &SeriesType| {
        series.series_type == "forced_expiratory_volume_1" || !series::is_common(series.code)
    };
    for series in SERIES.iter().filter(|series| !has_none(series)) {
        let name = series.series_type;
        let drawn = chart(&page, name).unwrap_or_else(|| panic!("no chart of {name}: {page}"));
        let is_drawn = drawn.contains("<svg") && drawn.contains("<table") && drawn.contains("<title>");
        let title = series.name.replace('\'', "&#39;");
        assert!(is_drawn && (drawn.contains(series.name) || drawn.contains(&title)), "{name}: {drawn}");
        let one = format!("/admin/patients/{patient}/charts/{name}");
        assert!(overview.contains(&one), "{name} is missing in the overview: {overview}");
        assert_eq!(operator.get(&format!("{one}?period=4weeks")).status, 200);
    }
    assert!(chart(&page, "forced_expiratory_volume_1").is_none());
    let without = between(&page, "no data yet: ", ".").unwrap();
    assert!(without.starts_with("Breath volume in one second (FEV1)"), "{without}");
    assert!(overview.contains("36.6\u{a0}°C") && overview.contains("21 Nov 2026, 12:00 CET"), "{overview}");
    assert_eq!(operator.get(&format!("/admin/patients/{patient}/charts/nothing")).status, 404);
    assert!(!page.contains("<script"), "{page}");
    assert!(page.len() < 400_000, "the page has {} bytes", page.len());
}

#[test]
fn a_patients_page_shows_eight_charts_and_the_night_in_few_bytes() {
    let world = World::new();
    let shared = [
        "heart_rate",
        "steps",
        "sleep_stage_summary",
        "oxygen_saturation",
        "respiratory_rate",
        "weight",
        "blood_pressure",
        "heart_rate_variability_rmssd",
    ];
    let (user, patient) = patient_who_shares(&world, |series| shared.contains(&series.series_type));
    let told = compute_vitals(1, true, world.now.minus(DAY * 14), world.now);
    told.rows.into_iter().for_each(|row| world.sim.put_row(&user, row));
    for event in told.events {
        world.sim.put_event(&user, event);
    }
    world.sim.fill(&user, world.now.minus(DAY * 14), world.now, FIVE_MINUTES, 1);
    read_past(&world, 14);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let overview = operator.get(&format!("/admin/patients/{patient}")).body;
    assert!(
        overview.len() < 50_000,
        "the page has {} bytes with eight charts and the history",
        overview.len()
    );
    assert_eq!(
        overview.matches("<svg class=\"plot\"").count(),
        9,
        "eight series, and the last night by time"
    );
    let stages = chart(&overview, "sleep_stage_summary").unwrap();
    for look in ["deep", "rem", "light", "awake"] {
        assert!(stages.contains(&format!("<path class=\"{look}\" d=\"M")), "{look}: {stages}");
    }
    assert!(stages.contains("From the bottom, with the mean of"), "{stages}");
    let night = chart(&overview, "hypnogram").unwrap();
    assert!(night.contains("Night to Saturday 21 November") && night.contains("<title>REM, "), "{night}");
    let before = operator.get(&format!("/admin/patients/{patient}?period=day&until=2026-11-20")).body;
    assert!(chart(&before, "hypnogram").unwrap().contains("Night to Friday 20 November"), "{before}");
}

#[test]
fn earlier_periods_are_one_link_away_and_a_missing_end_is_marked() {
    let world = World::new();
    let (user, patient) = sharing_patient(&world);
    let end = world.now.minus(DAY * 3);
    world.sim.fill(&user, end.minus(DAY * 3), end, FIVE_MINUTES, 1);
    read_past(&world, 7);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let get = |query: &str| operator.get(&format!("/admin/patients/{patient}{query}")).body;
    let page = get("?period=week");
    let drawn = chart(&page, "heart_rate").unwrap();
    assert!(drawn.contains(">no data</text>") && drawn.contains(">bpm</text>"), "{drawn}");
    assert!(page.contains("15 to 21 Nov 2026") && !page.contains("Later"), "{page}");
    let earlier = between(&page, "rel=\"prev\" href=\"", "#").unwrap().replace("&amp;", "&");
    assert_eq!(earlier, format!("/admin/patients/{patient}?period=week&until=2026-11-14"));
    let earlier = operator.get(&earlier).body;
    assert!(earlier.contains("8 to 14 Nov 2026") && earlier.contains("rel=\"next\""), "{earlier}");
    let drawn = chart(&earlier, "heart_rate").unwrap();
    assert!(drawn.contains("No data in this period.") && drawn.contains("until=2026-11-18"), "{drawn}");
    for wrong in
        ["?period=year", "?until=tomorrow", "?period=12weeks&until=9999-12-31", "?until=-009999-01-01"]
    {
        assert!(get(wrong).contains("21 Nov 2026</strong>"), "{wrong}");
    }
}

#[test]
fn a_days_total_and_its_parts_are_never_added() {
    let world = World::new();
    let (user, patient) = sharing_patient(&world);
    let today = at("2026-11-21T00:00:00Z");
    let part = |at, steps| Row::of("steps", at, steps).with_provider("garmin").with_daily_total(false);
    for hours in [8, 9, 10] {
        world.sim.put_row(&user, part(today.plus(HOUR * hours), 400.0));
        world.sim.put_row(&user, part(today.minus(DAY).plus(HOUR * hours), 700.0));
    }
    let total = Row::of("steps", today.minus(DAY), 5000.0).with_provider("garmin").with_daily_total(true);
    world.sim.put_row(&user, total);
    // The ring counted the same steps.
    let ring = Row::of("steps", today.minus(DAY), 4800.0).with_daily_total(true);
    world.sim.put_row(&user, ring);
    read_past(&world, 7);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let page =
        |period: &str| operator.get(&format!("/admin/patients/{patient}/charts/steps?period={period}")).body;
    let week = page("week");
    let steps = chart(&week, "steps").unwrap();
    assert_eq!(
        cells(steps, "Fri 20 Nov"),
        ["5000 steps", "4800 steps"],
        "both providers' totals are shown unchanged"
    );
    assert_eq!(cells(steps, "Sat 21 Nov"), ["1200 steps", "none"], "without a total, the parts are summed");
    for wrong in ["7100", "6200", "9800", "11900"] {
        assert!(!week.contains(wrong), "{wrong}: {week}");
    }
    assert!(steps.contains("<title>Sat 21 Nov, so far: 1200\u{a0}steps (Garmin)</title>"), "{steps}");
    let day = page("day");
    let hours = chart(&day, "steps").unwrap();
    assert!(
        hours.contains("Steps by hour") && hours.contains("<title>09:00: 400\u{a0}steps</title>"),
        "{hours}"
    );
    assert!(hours.contains("Of the whole day: 1200\u{a0}steps"), "{hours}");
    let before = page("day&until=2026-11-20");
    assert!(before.contains("5000\u{a0}steps") && before.contains("4800\u{a0}steps"), "{before}");
    let overview = operator.get(&format!("/admin/patients/{patient}")).body;
    assert!(overview.contains("1200\u{a0}steps") && overview.contains("Sat 21 Nov"), "{overview}");
}

#[test]
fn a_day_west_of_utc_keeps_its_local_date() {
    let world = World::new();
    let user = world.sim.add_user();
    let add = [
        "patient",
        "add",
        "--name",
        "A",
        "--tz",
        "America/New_York",
        "--ow-user",
        &user,
        "--consent",
        "omh:step-count:3.0",
        "--reason",
        "paper",
    ];
    let patient = world.run(&add).stdout.trim().to_owned();
    let bare = Row::of("steps", at("2026-11-20T00:00:00Z"), 6000.0).with_daily_total(true);
    world.sim.put_row(&user, bare);
    read_past(&world, 7);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let week = operator.get(&format!("/admin/patients/{patient}/charts/steps?period=week")).body;
    assert_eq!(cells(chart(&week, "steps").unwrap(), "Fri 20 Nov"), ["6000 steps"]);
}

#[test]
fn blood_pressure_shows_both_values_and_a_night_counts_for_its_last_day() {
    let world = World::new();
    let (user, patient) = sharing_patient(&world);
    for (hours, systolic, diastolic) in [(2, 118.0, 78.0), (1, 126.0, 82.0)] {
        let cuff = |series_type, value| {
            Row::of(series_type, world.now.minus(HOUR * hours), value).with_source(Source::of("garmin"))
        };
        world.sim.put_row(&user, cuff("blood_pressure_systolic", systolic));
        world.sim.put_row(&user, cuff("blood_pressure_diastolic", diastolic));
    }
    let night = Event::night(at("2026-11-19T22:00:00Z"), at("2026-11-20T05:00:00Z"), Vec::new());
    world.sim.put_event(&user, night);
    read_past(&world, 7);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let page = operator.get(&format!("/admin/patients/{patient}/charts?period=4weeks")).body;
    let pressure = chart(&page, "blood_pressure").unwrap();
    assert!(pressure.contains("systolic 118 to 126, diastolic 78 to 82\u{a0}mmHg"), "{pressure}");
    assert_eq!(cells(pressure, "21 Nov"), ["2", "122/80", "118/78", "126/82"]);
    let sleep = chart(&page, "time_in_bed").unwrap();
    assert_eq!(cells(sleep, "Fri 20 Nov"), ["7 h"]);
    assert_eq!(sleep.matches("<tr>").count(), 2, "the table has a heading and one night: {sleep}");
}

#[test]
fn a_corrected_blood_pressure_shows_both_earlier_values() {
    let mut world = World::new();
    let (user, patient) = sharing_patient(&world);
    let measured = world.now.minus(HOUR);
    let put = |world: &World, systolic, diastolic| {
        for (series_type, value) in
            [("blood_pressure_systolic", systolic), ("blood_pressure_diastolic", diastolic)]
        {
            world.sim.put_row(&user, Row::of(series_type, measured, value).with_source(Source::of("garmin")));
        }
    };
    put(&world, 118.0, 78.0);
    world.created();
    put(&world, 121.0, 80.0);
    world.pass(FIVE_MINUTES);
    world.created();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let page = operator.get(&format!("/admin/patients/{patient}/observations")).body;
    for words in ["Blood pressure", "omh:blood-pressure:4.0", "121/80\u{a0}mmHg", "118/78\u{a0}mmHg, until"] {
        assert!(page.contains(words), "{words}: {page}");
    }
}
