//! Home and the pages of a study: overview, search, sorting and downloads for a coordinator.

use crate::support::harness::*;
use crate::support::running_daemon::*;

/// A study with participants in each state: sending, silent, withdrawn, without a device, invited, new.
struct Site {
    world: World,
    served: Served,
    operator: Visitor,
    study: String,
}

/// The participants' study numbers.
const STEADY: &str = "P001";
const SILENT: &str = "P002";
const WITHDRAWN: &str = "P003";
const AGREED: &str = "P004";
const NEW: &str = "P005";

impl Site {
    fn open() -> Self {
        let mut world = World::new();
        world.now = at("2026-11-18T12:00:00Z");
        world.pass(std::time::Duration::ZERO);
        let began = world.now;
        let served = Served::start(&world);
        let operator = served.operator(&world);
        let study = make_study(&operator, "Sleep & Heart");
        let add = |name: &str, is_linked: bool, reason: &[&str]| {
            let user = world.sim.add_user();
            let mut add = vec!["patient", "add", "--name", name, "--tz", "UTC"];
            if is_linked {
                add.extend(["--ow-user", &user]);
            }
            let ran = world.run(&[add.as_slice(), reason].concat());
            assert_eq!(ran.code, 0, "{ran:?}");
            let patient = ran.stdout.trim().to_owned();
            let edit = format!("/admin/patients/{patient}/edit");
            let fields = [("name", name), ("tz", "UTC"), ("study", &study)];
            assert_eq!(operator.submit(&edit, &edit, &fields).status, 303);
            (user, patient)
        };
        let consent = ["--consent", HEART_RATE, "--reason", "paper"];
        let (steady, _) = add("Rosalind", true, &consent);
        let (silent, _) = add("Sylvia", true, &consent);
        let (leaving, left) = add("Winston", true, &consent);
        add("Agatha", false, &consent);
        add("Nora", false, &[]);
        let three_days = began.plus(DAY * 3);
        world.sim.fill(&steady, began, three_days, FIVE_MINUTES, 1);
        world.sim.fill(&silent, began, began.plus(HOUR * 6), FIVE_MINUTES, 2);
        world.sim.fill(&leaving, began, began.plus(HOUR * 6), FIVE_MINUTES, 3);
        served.stop("TERM");
        world.pass(HOUR * 6);
        assert!(world.created() > 0);
        world.consent(&left, "--withdraw");
        world.pass(HOUR * 66);
        assert!(world.created() > 0);
        let served = Served::start(&world);
        let operator = served.visitor();
        assert_eq!(operator.sign_in("operator", PASSWORD).status, 303);
        Self { world, served, operator, study }
    }

    fn get(&self, tail: &str) -> Answer {
        self.operator.get(&format!("/admin/studies/{}{tail}", self.study))
    }
}

/// Returns the study numbers of a list's rows, in order.
fn numbers(page: &str) -> Vec<&str> {
    let rows = page.split("<th class=\"first\" scope=\"row\">").skip(1);
    rows.filter_map(|row| between(row, "\">", "</a>")).collect()
}

#[test]
fn participants_are_listed_by_state_found_sorted_and_counted() {
    let site = Site::open();
    let page = site.get("").body;
    assert_eq!(numbers(&page), [STEADY, SILENT, WITHDRAWN, AGREED, NEW]);
    for part in
        ["Sending", "Silent", "Withdrawn", "Agreed, no device", "Not invited", "72\u{a0}h", "1 to 5 of 5"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    // P001 sent all of its 72 hours, the silent one 6 of 72; the withdrawn one was expected for 6 hours.
    assert!(page.contains("56\u{a0}% of what is expected"), "{page}");
    assert_eq!(numbers(&site.get("?state=silent").body), [SILENT]);
    assert_eq!(numbers(&site.get("?search=agath").body), [AGREED]);
    assert_eq!(numbers(&site.get("?search=p00&state=withdrawn").body), [WITHDRAWN]);
    assert!(site.get("?search=nobody").body.contains("Nobody fits this search."));
    assert_eq!(numbers(&site.get("?sort=hours").body)[..2], [SILENT, WITHDRAWN]);
    assert_eq!(numbers(&site.get("?sort=state").body), [STEADY, SILENT, AGREED, NEW, WITHDRAWN]);
    assert_eq!(
        numbers(&site.get("?page=99").body).len(),
        5,
        "a page number past the end shows the last page"
    );
    assert_eq!(site.world.run(&["patient", "unlink", "1"]).code, 0);
    assert_eq!(numbers(&site.get("?state=sending").body).len(), 0, "nothing is read without a link");
    assert_eq!(numbers(&site.get("?state=agreed").body), [STEADY, AGREED]);
    site.served.stop("TERM");
}

#[test]
fn adherence_shows_hours_by_day_tells_silent_from_withdrawn_and_is_the_same_as_csv() {
    let site = Site::open();
    let page = site.get("/adherence").body;
    let cells = |number: &str| -> Vec<String> {
        let row = between(&page, &format!(">{number}</a>"), "</tr>").unwrap();
        let cells = row.split("role=\"cell\">").skip(1);
        cells.map(|cell| cell.split('<').next().unwrap().to_owned()).collect()
    };
    // The last five days: 17 to 21 November.
    let last = |number: &str| cells(number)[23..28].join(" ");
    assert_eq!(last(STEADY), "· 12 24 24 12");
    assert_eq!(last(SILENT), "· 6 ! ! !");
    assert_eq!(last(WITHDRAWN), "· 6 × × ×");
    assert_eq!((last(AGREED), last(NEW)), ("· · · · ·".to_owned(), "· · · · ·".to_owned()));
    assert!(page.contains("72\u{a0}h") && page.contains("100\u{a0}%"), "{page}");
    let earlier = site.get("/adherence?until=2026-10-24").body;
    assert!(earlier.contains("27 September to 24 October 2026") && earlier.contains("Later"), "{earlier}");
    let csv = site.get("/adherence.csv");
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<Vec<&str>> = csv.body.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((lines.len(), lines[0].len()), (6, 31));
    let day = lines[0].iter().position(|name| *name == "2026-11-19").unwrap();
    let on_day: Vec<&str> = lines[1..].iter().map(|line| line[day]).collect();
    assert_eq!(on_day, ["24", "0", "withdrawn", "", ""]);
    assert_eq!(lines[1][29..], ["72", "72"]);
    assert!(!csv.body.contains("Rosalind"), "the file has numbers and no names");
    site.served.stop("TERM");
}

#[test]
fn home_says_whether_all_is_well_and_whom_to_look_after() {
    let mut site = Site::open();
    let home = site.operator.get("/admin").body;
    assert!(home.contains("1 of 2 patients stopped sending"), "{home}");
    let attention = between(&home, "Needs attention", "Studies</h2>").unwrap();
    assert!(attention.contains("Sylvia") && attention.contains("Sleep &amp; Heart"), "{attention}");
    assert!(!attention.contains("Winston") && !attention.contains("Rosalind"), "{attention}");
    let card = between(&home, "<ul class=\"cards\">", "</ul>").unwrap();
    for part in [
        "5 participants",
        "1 agreed, no device · 1 not invited · 1 withdrawn",
        "of the expected data in 7 days",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    site.served.stop("TERM");
    site.world.setting("module.ow", "false");
    let served = Served::start(&site.world);
    let operator = served.visitor();
    operator.sign_in("operator", PASSWORD);
    let home = operator.get("/admin").body;
    assert!(home.contains("No data come in, and 1 of 2 patients are silent"), "{home}");
    assert!(home.contains("class=\"band bad\"") && home.contains("The sync is switched off"), "{home}");
    served.stop("TERM");
    site.world.setting("module.ow", "true");
    site.world.set("OW_API_KEY", "sk-wrong");
    let served = Served::start(&site.world);
    let operator = served.visitor();
    operator.sign_in("operator", PASSWORD);
    until("the key is refused", || operator.get("/admin").body.contains("Open Wearables refuses the key"));
    assert!(operator.get("/admin").body.contains("Nothing is lost"));
    served.stop("TERM");
}

#[test]
fn a_data_set_can_be_what_arrived_since_an_earlier_one() {
    let site = Site::open();
    let page = format!("/admin/studies/{}/data", site.study);
    let first = site.operator.submit(&page, &page, &[("format", "csv"), ("since", "")]);
    assert_eq!(first.status, 200);
    assert!(first.headers.contains_key("content-length"), "the browser shows the progress");
    let shown = site.get("/data").body;
    let since = between(&shown, "<option value=\"", "\">What arrived since").unwrap();
    let since = since.rsplit("<option value=\"").next().unwrap();
    assert!(
        shown.contains("everything to commit ") && shown.contains("<td data-label=\"Who\">operator"),
        "{shown}"
    );
    let next = site.operator.submit(&page, &page, &[("format", "csv"), ("since", since)]);
    assert_eq!(next.status, 200);
    assert!(site.get("/data").body.contains(&format!("what arrived after commit {since}")));
    site.served.stop("TERM");
}
