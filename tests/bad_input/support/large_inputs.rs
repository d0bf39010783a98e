//! Inputs larger, deeper or more compressed than mutations of a seed.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Size of large inputs in bytes: more than half of the maximum size of an answer.
const LARGE: usize = 10 * 1024 * 1024;
/// Size of large texts in addresses and in the program's own files.
const LONG: usize = 1024 * 1024;

/// Returns the large and odd inputs of a target, each with its description.
pub fn of(target: &str) -> Vec<(&'static str, Vec<u8>)> {
    let is_body = matches!(target, "ow_page" | "raw_payload" | "jhe_answer");
    let large = if is_body { LARGE } else { LONG };
    let mut all = vec![
        ("nothing", Vec::new()),
        ("lists in lists", b"[".repeat(large)),
        ("objects in objects", br#"{"data":"#.repeat(large / 8)),
        ("a text without an end", [b"\"".as_slice(), &b"a".repeat(large)].concat()),
        ("escapes", format!("\"{}\"", "\\u0000".repeat(large / 6)).into_bytes()),
        ("zeros", vec![0; large]),
        ("broken UTF-8", vec![0xC3; large]),
        ("a long number", format!("{{\"total\":1{}}}", "0".repeat(large)).into_bytes()),
        ("underscores", b"_".repeat(large)),
        ("percent signs", b"%".repeat(large)),
    ];
    let page = |record: &str| {
        let records = vec![record; (LARGE / (record.len() + 1)).max(1)].join(",");
        format!(r#"{{"data":[{records}],"pagination":{{"has_more":false}}}}"#).into_bytes()
    };
    let record = r#"{"timestamp":"2026-11-21T08:00:00Z","type":"heart_rate","value":60}"#;
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    match target {
        "ow_page" => all.extend([
            ("a page of numbers", page("0")),
            ("a page of samples", page(record)),
            ("a page of deep records", page(&deep)),
            ("a record that is large", page(&format!("[{}0]", "0,".repeat(LARGE / 2)))),
            ("a sample with a large text", page(&record.replace("60", &format!("\"{}\"", "6".repeat(LARGE / 2))))),
        ]),
        "raw_payload" => all.extend([
            ("a list of numbers", page("0")),
            ("a list of heart rates", page(r#"{"bpm":66,"source":"sleep","timestamp":"2026-11-20T00:00:00Z"}"#)),
            ("a list of deep records", page(&deep)),
            ("a bomb of blanks", packed(&b" ".repeat(LARGE), 1)),
            ("a bomb of numbers", packed(&[b"[".as_slice(), &b"0,".repeat(LARGE / 2)].concat(), 1)),
            ("a bomb in parts", packed(&b" ".repeat(1024 * 1024), 80)),
            ("a bomb of a record", packed(format!("[\"{}\"]", "a".repeat(LARGE)).as_bytes(), 1)),
        ]),
        "config" => all.extend([
            ("many keys", (0..20_000).flat_map(|key| format!("a{key} = 1\n").into_bytes()).collect()),
            ("many dots", format!("{} = 1", vec!["a"; 20_000].join(".")).into_bytes()),
            ("deep tables", format!("a = {}", "{ a = ".repeat(20_000)).into_bytes()),
            ("a long bind", format!("[server]\nbind = \"{}\"", "1".repeat(large)).into_bytes()),
            ("many proxies", format!("[server]\ntrusted_proxies = \"{}::1\"", "::1,".repeat(100_000)).into_bytes()),
            ("a long filter", format!("[log]\nlevel = \"{}info\"", "a=info,".repeat(20_000)).into_bytes()),
        ]),
        "jhe_answer" => all.extend([
            ("many values", format!(r#"{{"issue":[{}0]}}"#, "0,".repeat(LARGE / 2)).into_bytes()),
            (
                "many issues",
                format!(
                    r#"{{"type":"batch-response","entry":[{{"response":{{"status":"400","outcome":{{"issue":[{}{{}}]}}}}}}]}}"#,
                    "{},".repeat(LARGE / 3)
                )
                .into_bytes(),
            ),
            (
                "many identifiers",
                format!(
                    r#"{{"type":"searchset","total":1,"entry":[{{"resource":{{"id":"1","identifier":[{}{{}}]}}}}]}}"#,
                    "{},".repeat(LARGE / 3)
                )
                .into_bytes(),
            ),
            (
                "many patients",
                format!(r#"{{"results":[{}{{}}]}}"#, r#"{"id":1,"jheUserId":1},"#.repeat(LARGE / 23)).into_bytes(),
            ),
        ]),
        _ => {}
    }
    all
}

/// Returns these bytes compressed with gzip, repeated `times` times.
fn packed(bytes: &[u8], times: usize) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap().repeat(times)
}
