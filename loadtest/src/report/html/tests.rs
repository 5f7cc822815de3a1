//! The page is well-formed, needs nothing but itself, and shows text as text.

use html5ever::tendril::TendrilSink as _;
use html5ever::tokenizer::TokenizerOpts;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::{invented, page};
use crate::report::Report;
use crate::report::files::json_lines;

/// A soak of ten minutes has about so many rounds.
const ROUNDS_OF_A_SOAK: u64 = 40;

fn reports() -> Vec<(&'static str, Report)> {
    vec![
        ("plain", invented::report("growth")),
        ("fail", invented::failed()),
        ("soak", invented::soak(30)),
        ("bench", invented::bench()),
        ("compare", invented::compare()),
    ]
}

fn of(report: &Report) -> String {
    let line = format!("loadtest {} --seed 7 --html page.html", report.scenario);
    page(report, &invented::common("loadtest sale --seed 7 --servers 2 --store postgres"), &invented::run(&line))
}

fn parsed(page: &str) -> RcDom {
    let tokenizer = TokenizerOpts { exact_errors: true, ..TokenizerOpts::default() };
    parse_document(RcDom::default(), ParseOpts { tokenizer, ..ParseOpts::default() }).one(page)
}

/// An element: its name, its attributes, and the text right in it.
type Element = (String, Vec<(String, String)>, String);

fn elements(dom: &RcDom) -> Vec<Element> {
    let mut found = Vec::new();
    visit(&dom.document, &mut |node| {
        let NodeData::Element { name, attrs, .. } = &node.data else { return };
        let text = |child: &Handle| match &child.data {
            NodeData::Text { contents } => contents.borrow().to_string(),
            _ => String::new(),
        };
        let texts: String = node.children.borrow().iter().map(text).collect();
        let attributes = attrs.borrow().iter().map(|a| (a.name.local.to_string(), a.value.to_string())).collect();
        found.push((name.local.to_string(), attributes, texts));
    });
    found
}

fn visit(node: &Handle, each: &mut impl FnMut(&Handle)) {
    each(node);
    for child in node.children.borrow().iter() {
        visit(child, each);
    }
}

#[test]
fn a_parser_finds_nothing_wrong_with_it() {
    for (name, report) in reports() {
        let page = of(&report);
        assert_eq!(*parsed(&page).errors.borrow(), Vec::<String>::new(), "{name}");
        assert!(page.ends_with("</html>"), "{name}");
    }
}

#[test]
fn it_refers_to_nothing_but_itself_and_runs_nothing() {
    for (name, report) in reports() {
        let page = of(&report);
        for outside in ["http://", "https://", "src=", "url(", "@import", "<script", "<link"] {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
        let dom = parsed(&page);
        let attributes: Vec<_> = elements(&dom).into_iter().flat_map(|(_, attributes, _)| attributes).collect();
        let ids: Vec<_> = attributes.iter().filter(|(key, _)| key == "id").map(|(_, id)| format!("#{id}")).collect();
        for (key, value) in &attributes {
            assert!(!key.starts_with("on"), "{name}: {key}");
            assert!(key != "href" || ids.contains(value), "{name}: {value} leads nowhere");
        }
    }
}

#[test]
fn text_from_a_server_is_shown_and_not_obeyed() {
    let page = of(&invented::failed());
    let elements = elements(&parsed(&page));
    let shown =
        |element: &str, text: &str| elements.iter().any(|(name, _, texts)| name == element && texts.contains(text));
    assert!(shown("p", "buyer-7 was shown <script>alert('owned')</script>"));
    assert!(shown("pre", "RESERVED <b>&amp; \"8\""));
    assert!(!elements.iter().any(|(name, ..)| name == "script" || name == "b"));
}

#[test]
fn the_verdict_is_said_in_words() {
    let verdict = |report: &Report| {
        let is_verdict =
            |attributes: &[(String, String)]| attributes.iter().any(|(_, value)| value.starts_with("verdict"));
        let elements = elements(&parsed(&of(report))).into_iter();
        elements.filter(|(_, attributes, _)| is_verdict(attributes)).map(|(.., text)| text).collect::<Vec<_>>()
    };
    assert_eq!((verdict(&invented::failed()), verdict(&invented::bench())), (vec!["FAIL".into()], vec!["PASS".into()]));
}

#[test]
fn a_soak_of_ten_minutes_fits_into_two_megabytes() {
    let soak = invented::soak(ROUNDS_OF_A_SOAK);
    let json = json_lines(&soak.to_json(&invented::common("loadtest sale")));
    assert!(json.len() < 2_000_000, "{}", json.len());
    let page = of(&soak);
    assert!(page.len() < 4_000_000, "{}", page.len());
}

#[test]
#[ignore = "writes pages to look at in a browser"]
fn invented_pages_are_there_to_look_at() {
    for (name, report) in reports() {
        let path = std::env::temp_dir().join(format!("loadtest-{name}.html"));
        std::fs::write(&path, of(&report)).unwrap();
        println!("{}", path.display());
    }
}
