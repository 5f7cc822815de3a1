//! Files that nobody honest writes: each is read wholly or refused, and what was read says the same when it is written again.

use boxoffice_proto::v1;
use hostile_bytes::{Attack, Rng};

use super::{Document, Format, Plan};

/// A value of TOML, right or nearly so.
fn value(rng: &mut Rng, likely: &[&str]) -> String {
    match rng.below(8) {
        0 => rng.number().to_string(),
        1 => (*rng.pick(&["true", "inf", "1e400", "2027-03-01T20:00:00Z", "1979-05-27", "[1,2]", "{}", "'''"]))
            .to_owned(),
        _ => format!("{:?}", rng.text(likely)),
    }
}

fn toml(rng: &mut Rng) -> Vec<u8> {
    let mut text = String::from("[event]\n");
    let times = ["2027-03-01T20:00:00+01:00", "none", "0001-01-01T00:00:00Z", "9999-12-31T23:59:60Z"];
    let spans = ["10m", "1h30m", "18446744073709551615s", "1ns", "99999999999y"];
    let event: [(&str, &[&str]); 9] = [
        ("id", &["gala"]),
        ("display_name", &["A gala"]),
        ("sales_state", &["DRAFT", "ON_SALE", "UNSPECIFIED"]),
        ("on_sale_time", &times),
        ("off_sale_time", &times),
        ("default_hold_ttl", &spans),
        ("max_hold_ttl", &spans),
        ("limit_per_owner", &["7"]),
        ("etag", &["1"]),
    ];
    for (key, likely) in event {
        if key == "id" || rng.once_in(3) {
            text += &format!("{key} = {}\n", value(rng, likely));
        }
    }
    for _ in 0..rng.below(4) {
        text += "[[allocation]]\n";
        text += &format!("id = {}\n", value(rng, &["a", "b", "c", "d"]));
        text += &format!("capacity = {}\n", rng.number().unsigned_abs() >> 33);
        if rng.once_in(2) {
            text += &format!("display_name = {}\n", value(rng, &["Stalls"]));
        }
    }
    text.into_bytes()
}

fn csv(rng: &mut Rng) -> Vec<u8> {
    let mut text = String::from(*rng.pick(&["event,allocation,capacity,display_name\n", "event,allocation\n", "\n"]));
    for _ in 0..rng.below(5) {
        let name = rng.text(&["Stalls", "the \"best\"", " spaces "]).replace('"', "\"\"");
        let allocation = *rng.pick(&["a", "b", "c", "d", "", "e/f"]);
        text += &format!("gala,{allocation},{},\"{name}\"\n", rng.number() >> 33);
    }
    text.into_bytes()
}

fn read(bytes: &[u8], format: Format) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else { return "not text".to_owned() };
    let document = match Document::parse(text, format) {
        Ok(document) => document,
        // The same is wrong, whatever the line.
        Err(error) => return error.chars().filter(|each| each.is_ascii_alphabetic()).take(60).collect(),
    };
    let again = document.write(format).ok().and_then(|text| Document::parse(&text, format).ok());
    if format == Format::Toml || !document.allocations.is_empty() {
        assert_eq!(again.as_ref(), Some(&document), "written and read again it is the same");
    }
    let planned = |current: Option<&v1::Event>| match Plan::new(&document, current, false) {
        Ok(plan) => format!("{} changes", plan.as_table().lines().count()),
        Err(_) => "no plan".to_owned(),
    };
    format!("read, {}, {}", planned(None), planned(Some(&v1::Event::default())))
}

#[test]
fn hostile_files_in_toml_are_read_wholly_or_refused() {
    Attack::on("event.toml").run(toml, |bytes| read(bytes, Format::Toml));
}

#[test]
fn hostile_files_in_csv_are_read_wholly_or_refused() {
    Attack::on("event.csv").run(csv, |bytes| read(bytes, Format::Csv));
}
