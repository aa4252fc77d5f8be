//! The table of merge cases: what becomes of a field, and of a record, in every situation that has a name.
//!
//! How to read it. A cell is written `'text'`, `1.5`, `true`, `2026-02-11`, `2026-02-11T10:00:30Z`, `{a,b}` (a set),
//! `[a,b]` (a list), `∅` (nothing) or `?` (no base). A line says the case, the field (column · property), the bases
//! and the present values of Postgres and Notion, the rules, and the outcome: `quiet`, `settle`, `conflict`,
//! `N:=value` or `P:=value` for a write to a side, with `by rule` where a value loses, `park N: reason`.

use pagerow_core::{
    answer::{Answers, Whole},
    digest::Digest,
    mapping::{ColumnKind, Field, Flow, Mapping, OnPageTrashed, OnRowDeleted, Policy, PropertyKind},
    number::Number,
    observation::{Absence, Identity, Link, Observation, Pair, Sighting},
    plan::{Action, ConflictKind, Plan, Why},
    planner::{Planner, assemble},
    record::{PageId, Record},
    side::{Side, Sides},
    value::{File, Moment, Range, Value},
};

use crate::{
    lint::lint,
    world::{field, options, record, text, text_field},
};

struct FieldCase {
    says: &'static str,
    field: fn() -> Field,
    base: [&'static str; 2],
    now: [&'static str; 2],
    rules: &'static str,
    want: &'static str,
}

const fn f(
    says: &'static str,
    field: fn() -> Field,
    base: [&'static str; 2],
    now: [&'static str; 2],
    rules: &'static str,
    want: &'static str,
) -> FieldCase {
    FieldCase { says, field, base, now, rules, want }
}

#[rustfmt::skip]
const FIELDS: &[FieldCase] = &[
    // One side, both sides, nobody.
    f("nobody changed anything",                       words, ["'a'", "'a'"], ["'a'", "'a'"], "", "quiet"),
    f("the row changed",                               words, ["'a'", "'a'"], ["'b'", "'a'"], "", "N:='b'"),
    f("the page changed",                              words, ["'a'", "'a'"], ["'a'", "'c'"], "", "P:='c'"),
    f("both changed to one value",                     words, ["'a'", "'a'"], ["'b'", "'b'"], "", "settle"),
    f("both changed, differently",                     words, ["'a'", "'a'"], ["'b'", "'c'"], "", "conflict"),
    f("the row was emptied",                           words, ["'a'", "'a'"], ["∅", "'a'"],   "", "N:=∅"),
    f("the page was emptied",                          words, ["'a'", "'a'"], ["'a'", "∅"],   "", "P:=∅"),
    f("both were emptied",                             words, ["'a'", "'a'"], ["∅", "∅"],     "", "settle"),
    f("emptied here, edited there",                    words, ["'a'", "'a'"], ["∅", "'c'"],   "", "conflict"),
    f("edited here, emptied there",                    words, ["'a'", "'a'"], ["'b'", "∅"],   "", "conflict"),
    f("filled here",                                   words, ["∅", "∅"],     ["'b'", "∅"],   "", "N:='b'"),
    f("filled on both, differently",                   words, ["∅", "∅"],     ["'b'", "'c'"], "", "conflict"),

    // Policies decide between two edits, and only between two edits.
    f("both changed, Postgres is preferred",           words, ["'a'", "'a'"], ["'b'", "'c'"], "prefer_postgres", "N:='b' by rule"),
    f("both changed, Notion is preferred",             words, ["'a'", "'a'"], ["'b'", "'c'"], "prefer_notion", "P:='c' by rule"),
    f("only the page changed, Postgres preferred",     words, ["'a'", "'a'"], ["'a'", "'c'"], "prefer_postgres", "P:='c'"),
    f("only the row changed, Notion preferred",        words, ["'a'", "'a'"], ["'b'", "'a'"], "prefer_notion", "N:='b'"),
    f("both equal, Notion preferred: nothing to write", words, ["'a'", "'a'"], ["'b'", "'b'"], "prefer_notion", "settle"),
    f("an emptied cell wins as any value does",        words, ["'a'", "'a'"], ["∅", "'c'"],   "prefer_postgres", "N:=∅ by rule"),
    f("the field's own winner, against the policy",    words, ["'a'", "'a'"], ["'b'", "'c'"], "prefer_postgres wins=notion", "P:='c' by rule"),
    f("the field's own winner under manual",           words, ["'a'", "'a'"], ["'b'", "'c'"], "wins=postgres", "N:='b' by rule"),
    f("a winner does not forbid the other's edit",     words, ["'a'", "'a'"], ["'a'", "'c'"], "wins=postgres", "P:='c'"),

    // Last write wins: the page's time is the start of its minute.
    f("the row is a minute later",                     words, ["'a'", "'a'"], ["'b'", "'c'"], "lww 10:01:00 10:00", "N:='b' by rule"),
    f("the row is in the page's minute, late",         words, ["'a'", "'a'"], ["'b'", "'c'"], "lww 10:00:59 10:00", "N:='b' by rule"),
    f("the row is in the page's minute, at its start", words, ["'a'", "'a'"], ["'b'", "'c'"], "lww 10:00:00 10:00", "N:='b' by rule"),
    f("the row is a second before the page's minute",  words, ["'a'", "'a'"], ["'b'", "'c'"], "lww 09:59:59 10:00", "P:='c' by rule"),
    f("the row is hours before",                       words, ["'a'", "'a'"], ["'b'", "'c'"], "lww 07:00:00 10:00", "P:='c' by rule"),
    f("nobody knows when the row was edited",          words, ["'a'", "'a'"], ["'b'", "'c'"], "lww - 10:00", "conflict"),
    f("nobody knows when the page was edited",         words, ["'a'", "'a'"], ["'b'", "'c'"], "lww 10:00:00 -", "conflict"),
    f("the later edit is no reason where one changed", words, ["'a'", "'a'"], ["'b'", "'a'"], "lww 07:00:00 10:00", "N:='b'"),
    f("the field's winner goes before the clock",      words, ["'a'", "'a'"], ["'b'", "'c'"], "lww 11:00:00 10:00 wins=notion", "P:='c' by rule"),

    // One-way fields are mirrors.
    f("to Notion: the row changed",                    words, ["'a'", "'a'"], ["'b'", "'a'"], "to_notion", "N:='b'"),
    f("to Notion: an edit on the page is put back",    words, ["'a'", "'a'"], ["'a'", "'c'"], "to_notion", "N:='a' by rule"),
    f("to Notion: both changed",                       words, ["'a'", "'a'"], ["'b'", "'c'"], "to_notion", "N:='b' by rule"),
    f("to Postgres: the page changed",                 words, ["'a'", "'a'"], ["'a'", "'c'"], "to_postgres", "P:='c'"),
    f("to Postgres: an edit of the row is put back",   words, ["'a'", "'a'"], ["'b'", "'a'"], "to_postgres", "P:='a' by rule"),
    f("to Postgres: both changed",                     words, ["'a'", "'a'"], ["'b'", "'c'"], "to_postgres", "P:='c' by rule"),
    f("one way, against the policy",                   words, ["'a'", "'a'"], ["'b'", "'c'"], "to_notion prefer_notion", "N:='b' by rule"),
    f("the mapping is one way, the field says nothing", words, ["'a'", "'a'"], ["'a'", "'c'"], "mapping=to_notion", "N:='a' by rule"),
    f("mapping and field exclude each other",          words, ["'a'", "'a'"], ["'b'", "'c'"], "mapping=to_notion to_postgres", "quiet"),

    // Without a base nothing is lost: something beats nothing, and two values are a question.
    f("no base, equal",                                words, ["?", "?"], ["'a'", "'a'"], "", "settle"),
    f("no base, different",                            words, ["?", "?"], ["'a'", "'b'"], "", "conflict"),
    f("no base, only the row has something",           words, ["?", "?"], ["'a'", "∅"], "", "N:='a'"),
    f("no base, only the page has something",          words, ["?", "?"], ["∅", "'a'"], "", "P:='a'"),
    f("no base, both are empty",                       words, ["?", "?"], ["∅", "∅"], "", "settle"),
    f("no base, and a policy for the run",             words, ["?", "?"], ["'a'", "'b'"], "prefer_notion", "P:='b' by rule"),
    f("one base is lost, the other side is as it was", words, ["?", "'a'"], ["'b'", "'a'"], "", "conflict"),
    f("one base is lost, and both agree",              words, ["?", "'a'"], ["'a'", "'a'"], "", "settle"),
    f("no base, an empty list is nothing to lose",     tags,  ["?", "?"], ["[]", "{red}"], "", "P:=['red']"),

    // Held apart: the sides differ on purpose, until somebody edits.
    f("held apart and untouched",                      words, ["'a'", "'b'"], ["'a'", "'b'"], "", "quiet"),
    f("held apart, then the row is edited",            words, ["'a'", "'b'"], ["'c'", "'b'"], "", "N:='c'"),
    f("held apart, then the page is edited",           words, ["'a'", "'b'"], ["'a'", "'c'"], "", "P:='c'"),
    f("held apart, and the page comes round",          words, ["'a'", "'b'"], ["'a'", "'a'"], "", "settle"),
    f("held apart stays so under any policy",          words, ["'a'", "'b'"], ["'a'", "'b'"], "prefer_notion", "quiet"),
    f("held apart stays so one way",                   words, ["'a'", "'b'"], ["'a'", "'b'"], "to_notion", "quiet"),

    // Text: an empty text is no text to Notion.
    f("an empty text and nothing agree",               words, ["''", "∅"], ["''", "∅"], "", "quiet"),
    f("a text became empty, the page empty too",       words, ["'a'", "'a'"], ["''", "∅"], "", "settle"),
    f("NULL became '', which the page cannot show",    words, ["∅", "∅"], ["''", "∅"], "", "settle"),
    f("a page's text is emptied, NULL allowed",        words, ["'a'", "'a'"], ["'a'", "∅"], "", "P:=∅"),
    f("a page's text is emptied, NULL refused",        needed, ["'a'", "'a'"], ["'a'", "∅"], "", "P:=''"),
    f("a page's number is emptied, NULL refused",      needed_number, ["1", "1"], ["1", "∅"], "", "park P: not_null"),
    f("a character too many for the column",           short, ["'a'", "'a'"], ["'a'", "'abcd'"], "", "park P: too_long"),

    // Dates: Notion keeps minutes.
    f("seconds that the page cut",                     moment, ["2026-02-11T10:00:30.123Z", "2026-02-11T10:00:00Z"], ["2026-02-11T10:00:30.123Z", "2026-02-11T10:00:00Z"], "", "quiet"),
    f("only the row's seconds changed",                moment, ["2026-02-11T10:00:30Z", "2026-02-11T10:00:00Z"], ["2026-02-11T10:00:59Z", "2026-02-11T10:00:00Z"], "", "settle"),
    f("the row's minute changed",                      moment, ["2026-02-11T10:00:30Z", "2026-02-11T10:00:00Z"], ["2026-02-11T10:01:30Z", "2026-02-11T10:00:00Z"], "", "N:=2026-02-11T10:01:00Z"),
    f("the page's minute changed",                     moment, ["2026-02-11T10:00:30Z", "2026-02-11T10:00:00Z"], ["2026-02-11T10:00:30Z", "2026-02-11T10:02:00Z"], "", "P:=2026-02-11T10:02:00Z"),
    f("both moved into one minute",                    moment, ["2026-02-11T10:00:30Z", "2026-02-11T10:00:00Z"], ["2026-02-11T10:05:07Z", "2026-02-11T10:05:00Z"], "", "settle"),
    f("a range in a column for one day",               day, ["2026-02-11", "2026-02-11"], ["2026-02-11", "2026-02-11/2026-02-12"], "", "park P: range"),
    f("a time in a column for days",                   day, ["2026-02-11", "2026-02-11"], ["2026-02-11", "2026-02-12T10:00:00Z"], "", "park P: time_of_day"),
    f("a range of one day is that day",                days, ["2026-02-11/2026-02-12", "2026-02-11/2026-02-12"], ["2026-02-13/2026-02-13", "2026-02-13"], "", "settle"),
    f("a range without an end",                        days, ["∅", "∅"], ["2026-02-13/", "∅"], "", "park N: open_range"),
    f("infinity is no date",                           moment, ["∅", "∅"], ["infinity", "∅"], "", "park N: date_range"),

    // Numbers: equal by meaning, exact or not at all.
    f("1.50 and 1.5",                                  money, ["1.50", "1.5"], ["1.50", "1.5"], "", "quiet"),
    f("1.5 written as 1.500",                          money, ["1.5", "1.5"], ["1.500", "1.5"], "", "quiet"),
    f("the first number that a double skips",          count, ["1", "1"], ["9007199254740993", "1"], "", "park N: inexact"),
    f("the last number before",                        count, ["1", "1"], ["9007199254740992", "1"], "", "N:=9007199254740992"),
    f("a fraction for whole numbers",                  count, ["1", "1"], ["1", "1.5"], "", "park P: fraction"),
    f("a third digit behind the point of numeric(8,2)", money, ["1", "1"], ["1", "1.005"], "", "park P: out_of_range"),

    // Checkboxes: no third state.
    f("NULL shows as unticked",                        flag, ["∅", "false"], ["∅", "false"], "", "quiet"),
    f("NULL became false",                             flag, ["∅", "false"], ["false", "false"], "", "settle"),
    f("a NULL is ticked on the page",                  flag, ["∅", "false"], ["∅", "true"], "", "P:=true"),
    f("true became NULL",                              flag, ["true", "true"], ["∅", "true"], "", "N:=false"),
    f("no base, NULL and unticked",                    flag, ["?", "?"], ["∅", "false"], "", "settle"),
    f("no base, false and ticked",                     flag, ["?", "?"], ["false", "true"], "", "conflict"),

    // Options: case and order mean nothing, names mean everything.
    f("a list in another order",                       tags, ["[red,blue]", "{blue,red}"], ["[blue,red]", "{blue,red}"], "", "settle"),
    f("a list with a double",                          tags, ["[red]", "{red}"], ["[red,red]", "{red}"], "", "settle"),
    f("a tag is added on the page",                    tags, ["[red]", "{red}"], ["[red]", "{blue,red}"], "", "P:=['red','blue']"),
    f("an option in another case",                     tier, ["'Gold'", "'Gold'"], ["'GOLD'", "'Gold'"], "", "settle"),
    f("no such option",                                tier, ["'Gold'", "'Gold'"], ["'Bronze'", "'Gold'"], "", "park N: no_such_option"),
    f("a comma in an option",                          open_tier, ["'Gold'", "'Gold'"], ["'a,b'", "'Gold'"], "", "park N: comma"),
    f("a new option where they may grow",              open_tier, ["'Gold'", "'Gold'"], ["'Tin'", "'Gold'"], "", "N:='Tin'"),
    f("a label of the configuration",                  labelled, ["'s'", "'Silver'"], ["'g'", "'Silver'"], "", "N:='Gold'"),
    f("the label's other way",                         labelled, ["'s'", "'Silver'"], ["'s'", "'Gold'"], "", "P:='g'"),
    f("a label in another case",                       labelled, ["'s'", "'Silver'"], ["'g'", "'GOLD'"], "", "settle"),
    f("an enum has no such label",                     choice, ["'low'", "'low'"], ["'low'", "'middling'"], "", "park P: no_such_label"),

    // Files and JSON.
    f("an address under a new signature",              file, ["'https://f/a?X-Amz-Signature=1'", "file:https://f/a?X-Amz-Signature=1"], ["'https://f/a?X-Amz-Signature=1'", "file:https://f/a?X-Amz-Signature=2"], "", "quiet"),
    f("JSON edited on the page keeps its digits",      json, ["∅", "∅"], ["∅", "'{\"b\": 1, \"a\": 0.12345678901234567891}'"], "", "P:=json:{\"a\":0.12345678901234567891,\"b\":1}"),
    f("what is no JSON waits",                         json, ["∅", "∅"], ["∅", "'{'"], "", "park P: not_json"),

    // A value that cannot go over wins nothing and loses nothing.
    f("an edit that cannot go over, against an edit",  count, ["1", "1"], ["9007199254740993", "2"], "", "conflict"),
    f("an edit that wins and cannot go over",          count, ["1", "1"], ["9007199254740993", "2"], "prefer_postgres", "park N: inexact"),
    f("a computed property takes nothing",             computed, ["'a'", "'a'"], ["'b'", "'a'"], "to_notion", "park N: read_only"),
];

fn words() -> Field {
    text_field("words")
}
fn needed() -> Field {
    Field { required: true, ..text_field("needed") }
}
fn needed_number() -> Field {
    Field { required: true, ..count() }
}
fn short() -> Field {
    field("short", ColumnKind::Text { max: Some(3) }, PropertyKind::Title)
}
fn moment() -> Field {
    field("moment", ColumnKind::Instant, PropertyKind::Date)
}
fn day() -> Field {
    field("day", ColumnKind::Day, PropertyKind::Date)
}
fn days() -> Field {
    field("days", ColumnKind::DayRange, PropertyKind::Date)
}
fn money() -> Field {
    field("money", ColumnKind::Numeric { precision: Some(8), scale: Some(2) }, PropertyKind::Number)
}
fn count() -> Field {
    field("count", ColumnKind::Integer { min: i64::MIN, max: i64::MAX }, PropertyKind::Number)
}
fn flag() -> Field {
    field("flag", ColumnKind::Bool, PropertyKind::Checkbox)
}
fn tags() -> Field {
    let shows = PropertyKind::MultiSelect(options(&["red", "blue"], false));
    field("tags", ColumnKind::List(Box::new(ColumnKind::Text { max: None })), shows)
}
fn tier() -> Field {
    let shows = PropertyKind::Select(options(&["Gold", "Silver"], false));
    field("tier", ColumnKind::Text { max: None }, shows)
}
fn open_tier() -> Field {
    let shows = PropertyKind::Select(options(&["Gold", "Silver"], true));
    field("tier", ColumnKind::Text { max: None }, shows)
}
fn labelled() -> Field {
    let labels = [("g", "Gold"), ("s", "Silver")].map(|(raw, label)| (raw.to_owned(), label.to_owned()));
    Field { labels: labels.into(), ..tier() }
}
fn choice() -> Field {
    let labels = vec!["low".to_owned(), "high".to_owned()];
    field(
        "choice",
        ColumnKind::Choice { labels },
        PropertyKind::Select(options(&["low", "high", "middling"], true)),
    )
}
fn file() -> Field {
    field("file", ColumnKind::Text { max: None }, PropertyKind::Files)
}
fn json() -> Field {
    field("json", ColumnKind::Json, PropertyKind::RichText)
}
fn computed() -> Field {
    field("computed", ColumnKind::Text { max: None }, PropertyKind::ReadOnly("formula".to_owned()))
}

#[test]
fn fields() {
    for case in FIELDS {
        let mut mapping = crate::world::mapping(vec![(case.field)()]);
        let edited = apply_rules(case.rules, &mut mapping);
        let base = case.base.map(|text| Record::new(vec![value(text)]));
        let [row, page] = case.now.map(|text| value(text).unwrap());
        let [postgres, notion] = base;
        let pair = Pair {
            identity: Identity::Linked(link(Sides { postgres, notion })),
            seen: Sides {
                postgres: present(&mapping, row, edited[0].as_deref()),
                notion: present(&mapping, page, edited[1].as_deref()),
            },
        };
        let got = outcome(&mapping, &pair);
        assert_eq!(got, case.want, "{}", case.says);
    }
}

struct RecordCase {
    says: &'static str,
    known: &'static str,
    now: [&'static str; 2],
    rules: &'static str,
    want: &'static str,
}

const fn r(
    says: &'static str,
    known: &'static str,
    now: [&'static str; 2],
    rules: &'static str,
    want: &'static str,
) -> RecordCase {
    RecordCase { says, known, now, rules, want }
}

/// Whole records: `same`, `edited` (the row to `'b'`, the page to `'c'`, from `'a'`), or the way in which it is away.
#[rustfmt::skip]
const RECORDS: &[RecordCase] = &[
    r("nothing happened",                              "linked", ["same", "same"], "", "quiet"),
    r("both edited",                                   "linked", ["edited", "edited"], "", "conflict"),
    r("a new row",                                     "row", ["edited", "deleted"], "", "create N"),
    r("a new page",                                    "page", ["deleted", "edited"], "", "create P"),
    r("a new row, the mapping flows the other way",    "row", ["edited", "deleted"], "mapping=to_postgres", "skip: direction"),
    r("a new page, the mapping flows the other way",   "page", ["deleted", "edited"], "mapping=to_notion", "skip: direction"),
    r("a row that went before it was ever a page",     "row", ["deleted", "deleted"], "", "quiet"),
    r("a page that went before it was ever a row",     "page", ["deleted", "trashed"], "", "quiet"),
    r("a row that nobody saw makes no page",           "row", ["same", "deleted"], "", "quiet"),
    r("a row and a page meet, different",              "adopted", ["edited", "edited"], "", "conflict + settle"),
    r("a row and a page meet, and one is gone again",  "adopted", ["edited", "moved"], "", "quiet"),

    r("the row was deleted",                           "linked", ["deleted", "same"], "", "trash N"),
    r("the row was marked as deleted",                 "linked", ["trashed", "same"], "", "trash N"),
    r("the row was deleted, pages are kept",           "linked", ["deleted", "same"], "row=keep", "skip: kept in notion"),
    r("the row was deleted, a person is asked",        "linked", ["deleted", "same"], "row=ask", "ask: deleted in postgres"),
    r("the row was deleted, nothing flows to Notion",  "linked", ["deleted", "same"], "mapping=to_postgres", "skip: kept in notion"),
    r("the row was deleted, the page edited",          "linked", ["deleted", "edited"], "", "create P"),
    r("the row was marked as deleted, the page edited", "linked", ["trashed", "edited"], "", "restore P"),
    r("the edit wins also where pages are kept",       "linked", ["deleted", "edited"], "row=keep", "create P"),
    r("the row was deleted, the page edited, one way", "linked", ["deleted", "edited"], "mapping=to_notion", "trash N"),

    r("the page was trashed: soft delete",             "linked", ["same", "trashed"], "page=soft_delete", "trash P"),
    r("the page was trashed: delete",                  "linked", ["same", "trashed"], "page=delete", "delete P"),
    r("the page was trashed: restore",                 "linked", ["same", "trashed"], "page=restore", "restore N"),
    r("the page was trashed: keep",                    "linked", ["same", "trashed"], "page=keep", "skip: kept in postgres"),
    r("the page was trashed: ask",                     "linked", ["same", "trashed"], "page=ask", "ask: deleted in notion"),
    r("the page was trashed, nothing flows back",      "linked", ["same", "trashed"], "page=delete mapping=to_notion", "skip: kept in postgres"),
    r("the page was trashed, the row edited",          "linked", ["edited", "trashed"], "page=delete", "restore N"),
    r("the page was trashed, the row edited, one way", "linked", ["edited", "trashed"], "page=delete mapping=to_postgres", "delete P"),

    r("both deleted",                                  "linked", ["deleted", "trashed"], "", "forget"),
    r("both in the trash",                             "linked", ["trashed", "trashed"], "", "forget"),
    r("the page is archived: no deletion",             "linked", ["same", "archived"], "page=delete", "skip: away"),
    r("the page was moved: no deletion",               "linked", ["same", "moved"], "page=delete", "skip: away"),
    r("the page is out of reach: no deletion",         "linked", ["same", "unreachable"], "page=delete", "skip: away"),
    r("the row left the condition: no deletion",       "linked", ["out_of_scope", "same"], "", "skip: away"),
    r("the row left the condition, the page edited",   "linked", ["out_of_scope", "edited"], "", "skip: away"),
    r("the row is gone, the page out of reach",        "linked", ["deleted", "unreachable"], "", "skip: away"),

    r("the row could not be read",                     "linked", ["unreadable", "edited"], "", "skip: unreadable postgres"),
    r("the page could not be read, the row is gone",   "linked", ["deleted", "unreadable"], "", "skip: unreadable notion"),
    r("the row could not be read, the page is gone",   "linked", ["unreadable", "trashed"], "page=delete", "skip: unreadable postgres"),
    r("a new page that could not be read",             "page", ["deleted", "unreadable"], "", "skip: unreadable notion"),

    r("no base, the row deleted: nothing is deleted",  "unknown", ["deleted", "edited"], "", "create P"),
    r("no base, the page trashed: nothing is deleted", "unknown", ["edited", "trashed"], "page=delete", "restore N"),
    r("a page is back, its row marked as deleted",     "adopted", ["trashed", "edited"], "page=soft_delete", "restore P"),
    r("a page is back, nothing flows to its row",      "adopted", ["trashed", "edited"], "page=soft_delete mapping=to_notion", "quiet"),
    r("a row names a page that is in the trash",       "adopted", ["edited", "trashed"], "page=soft_delete", "restore N"),
    r("a row names a trashed page, nothing flows there", "adopted", ["edited", "trashed"], "mapping=to_postgres", "quiet"),

    // Both halves were deleted before, and the link is remembered: what is back brings the other one back.
    r("both are still gone",                           "buried", ["deleted", "trashed"], "", "quiet"),
    r("the row is inserted again, as it was",          "buried", ["same", "trashed"], "", "restore N"),
    r("the row is inserted again, as it was, whatever trashing means", "buried", ["same", "trashed"], "page=delete", "restore N"),
    r("the row is inserted again, another one",        "buried", ["edited", "trashed"], "page=ask", "restore N"),
    r("the row is back, nothing flows to Notion",      "buried", ["edited", "trashed"], "mapping=to_postgres", "skip: direction"),
    r("the row is back, its page is gone for good",    "buried", ["edited", "unreachable"], "", "create N"),
    r("the row is back, its page was moved away",      "buried", ["edited", "moved"], "", "create N"),
    r("the row is back, its page is archived",         "buried", ["edited", "archived"], "", "skip: away"),
    r("the page is taken out of the trash",            "buried", ["deleted", "same"], "", "create P"),
    r("the page is taken out, whatever deleting means", "buried", ["deleted", "same"], "row=ask", "create P"),
    r("the page is taken out and edited",              "buried", ["deleted", "edited"], "", "create P"),
    r("the page is taken out, its row only marked",    "buried", ["trashed", "same"], "", "restore P"),
    r("the page is taken out, nothing flows to rows",  "buried", ["trashed", "same"], "mapping=to_notion", "skip: direction"),
    r("both are back as they were",                    "buried", ["same", "same"], "", "settle"),
    r("both are back, the row edited",                 "buried", ["edited", "same"], "", "N:='b' + settle"),
    r("both are back, both edited",                    "buried", ["edited", "edited"], "", "conflict + settle"),
    r("the row is back, the page cannot be read",      "buried", ["edited", "unreadable"], "", "skip: unreadable notion"),

    // A deletion that was seen for the first time waits; an edit does not.
    r("the row is just gone",                          "waits", ["deleted", "same"], "", "skip: just gone in postgres"),
    r("the row is just marked as deleted",             "waits", ["trashed", "same"], "", "skip: just gone in postgres"),
    r("the page is just gone",                         "waits", ["same", "trashed"], "page=delete", "skip: just gone in notion"),
    r("the page is just gone, soft delete",            "waits", ["same", "trashed"], "page=soft_delete", "skip: just gone in notion"),
    r("asking does not wait",                          "waits", ["same", "trashed"], "page=ask", "ask: deleted in notion"),
    r("bringing back does not wait",                   "waits", ["same", "trashed"], "page=restore", "restore N"),
    r("an edit that beats a deletion does not wait",   "waits", ["deleted", "edited"], "", "create P"),

    // A person's answer to a deletion.
    r("deleted here, the deletion is kept",            "keep=postgres", ["deleted", "same"], "row=ask", "trash N"),
    r("marked here, the deletion is kept",             "keep=postgres", ["trashed", "same"], "row=ask", "trash N"),
    r("deleted here, the page is kept",                "keep=notion", ["deleted", "same"], "row=ask", "create P"),
    r("marked here, the page is kept",                 "keep=notion", ["trashed", "same"], "row=ask", "restore P"),
    r("trashed there, the trash is kept",              "keep=notion", ["same", "trashed"], "page=ask", "trash P"),
    r("trashed there, the row is kept",                "keep=postgres", ["same", "trashed"], "page=ask", "restore N"),
    r("deleted here, both stay as they are",           "leave", ["deleted", "same"], "row=ask", "skip: kept in notion"),
    r("left as they are, then the page is edited",     "leave", ["deleted", "edited"], "row=ask", "create P"),
    r("an answer to a deletion that is none any more", "keep=postgres", ["same", "same"], "row=ask", "quiet"),
    r("an answer where the mapping does not ask",      "keep=notion", ["deleted", "same"], "", "trash N"),
    r("the page lost its key",                         "unmarked", ["same", "same"], "", "mark N"),
    r("the page lost its key, the row edited",         "unmarked", ["edited", "same"], "", "mark N:='b'"),
    r("the page lost its key, the row deleted",        "unmarked", ["deleted", "same"], "", "trash N"),
];

#[test]
fn records() {
    for case in RECORDS {
        let mut mapping = crate::world::mapping(vec![text_field("words")]);
        apply_rules(case.rules, &mut mapping);
        mapping.key_property = case.known == "unmarked";
        let known = link(Sides { postgres: record(&[text("a")]), notion: record(&[text("a")]) });
        let identity = match case.known {
            "linked" | "unmarked" => Identity::Linked(known),
            "unknown" => {
                Identity::Linked(link(Sides { postgres: Record::unread(1), notion: Record::unread(1) }))
            }
            "adopted" => Identity::Adopted { key: known.key, page: known.page },
            "buried" => Identity::Buried(known),
            "waits" | "leave" | "keep=postgres" | "keep=notion" => Identity::Linked(known),
            "row" => Identity::Row(known.key),
            "page" => Identity::Page(known.page),
            other => panic!("{other}"),
        };
        let see = |what: &str, edited: &str| match what {
            "same" if ["unmarked", "buried"].contains(&case.known) => present(&mapping, text("a"), None),
            "same" => Observation::Unchanged,
            "edited" => present(&mapping, text(edited), None),
            "unreadable" => Observation::Unreadable("500".to_owned()),
            "deleted" => Observation::Absent(Absence::Deleted),
            "trashed" => Observation::Absent(Absence::Trashed),
            "archived" => Observation::Absent(Absence::Archived),
            "moved" => Observation::Absent(Absence::Moved),
            "unreachable" => Observation::Absent(Absence::Unreachable),
            "out_of_scope" => Observation::Absent(Absence::OutOfScope),
            other => panic!("{other}"),
        };
        let seen = Sides { postgres: see(case.now[0], "b"), notion: see(case.now[1], "c") };
        let keep = |side| Some(Whole::Keep { side, removal: Action::Trash });
        let answers = Answers {
            whole: match case.known {
                "keep=postgres" => keep(Side::Postgres),
                "keep=notion" => keep(Side::Notion),
                "leave" => Some(Whole::Leave),
                _ => None,
            },
            waits: case.known == "waits",
            ..Answers::default()
        };
        let got = answered(&mapping, &Pair { identity, seen }, &answers);
        assert_eq!(got, case.want, "{}", case.says);
    }
}

#[test]
fn the_table_is_long_enough_to_be_the_truth() {
    assert!(FIELDS.len() >= 60 && RECORDS.len() >= 40, "{} {}", FIELDS.len(), RECORDS.len());
    let mut says: Vec<&str> = FIELDS.iter().map(|c| c.says).chain(RECORDS.iter().map(|c| c.says)).collect();
    says.sort_unstable();
    assert!(says.windows(2).all(|two| two[0] != two[1]), "one sentence, one case");
}

fn link(base: Sides<Record>) -> Link {
    Link { id: 1, key: "k1".into(), page: PageId(uuid::Uuid::from_u128(1)), base, apart: None }
}

fn present(mapping: &Mapping, value: Value, edited: Option<&str>) -> Observation {
    let record = record(&[value]);
    let digest = Digest::of_record(mapping, &record, None, &mut Vec::new());
    let edited = edited.map(|text| text.parse().unwrap());
    Observation::Present(Sighting {
        record,
        digest,
        edited,
        editor: None,
        by: None,
        marker: None,
        checksum: None,
    })
}

/// Puts the rules of a case into its mapping; gives the times of the two edits.
fn apply_rules(rules: &str, mapping: &mut Mapping) -> [Option<String>; 2] {
    let mut edited = [None, None];
    let mut words = rules.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "prefer_postgres" => mapping.on_conflict = Policy::PreferPostgres,
            "prefer_notion" => mapping.on_conflict = Policy::PreferNotion,
            "lww" => {
                mapping.on_conflict = Policy::LastWriteWins;
                for time in &mut edited {
                    let text = words.next().unwrap();
                    let seconds = if text.len() == 5 { ":00" } else { "" };
                    *time = (text != "-").then(|| format!("2026-02-11T{text}{seconds}Z"));
                }
            }
            "wins=postgres" => mapping.fields[0].wins = Some(Side::Postgres),
            "wins=notion" => mapping.fields[0].wins = Some(Side::Notion),
            "to_notion" => mapping.fields[0].flow = Flow::ToNotion,
            "to_postgres" => mapping.fields[0].flow = Flow::ToPostgres,
            "mapping=to_notion" => mapping.direction = Flow::ToNotion,
            "mapping=to_postgres" => mapping.direction = Flow::ToPostgres,
            "row=keep" => mapping.on_row_deleted = OnRowDeleted::Keep,
            "row=ask" => mapping.on_row_deleted = OnRowDeleted::Ask,
            "page=ask" => mapping.on_page_trashed = OnPageTrashed::Ask,
            "page=keep" => mapping.on_page_trashed = OnPageTrashed::Keep,
            "page=delete" => mapping.on_page_trashed = OnPageTrashed::Delete,
            "page=restore" => mapping.on_page_trashed = OnPageTrashed::Restore,
            "page=soft_delete" => mapping.on_page_trashed = OnPageTrashed::SoftDelete,
            other => panic!("no rule {other}"),
        }
    }
    edited
}

/// What the planner does with one record, in the table's words; the linter looks over its shoulder.
fn outcome(mapping: &Mapping, pair: &Pair) -> String {
    answered(mapping, pair, &Answers::default())
}

fn answered(mapping: &Mapping, pair: &Pair, answers: &Answers) -> String {
    let census = crate::world::World::new(mapping.clone()).census();
    let mut planner = Planner::new(mapping, census);
    planner.consider_with(pair, answers);
    let plan = assemble(vec![planner.finish()], &[mapping]);
    if answers.fields.is_empty() {
        lint(mapping, std::slice::from_ref(pair), &plan);
    }
    describe(&plan)
}

fn describe(plan: &Plan) -> String {
    let part = &plan.mappings[0];
    let short = |side| if side == Side::Postgres { "P" } else { "N" };
    let mut said = Vec::new();
    for step in &part.steps {
        let side = short(step.side);
        said.push(match step.action {
            Action::Create => format!("create {side}"),
            Action::Restore => format!("restore {side}"),
            Action::Trash => format!("trash {side}"),
            Action::Delete => format!("delete {side}"),
            Action::Update => {
                let writes = step.fields.iter().map(|write| format!(":={}", shown(&write.after)));
                let mark = if step.mark { "mark " } else { "" };
                let rule = if step.because == pagerow_core::plan::Because::Decided { " by rule" } else { "" };
                format!("{mark}{side}{}{rule}", writes.collect::<String>())
            }
        });
    }
    for conflict in &part.conflicts {
        said.push(match &conflict.kind {
            ConflictKind::Field { .. } => "conflict".to_owned(),
            ConflictKind::Deleted { on, .. } => format!("ask: deleted in {}", on.name()),
        });
    }
    for settlement in &part.settlements {
        said.push(if settlement.forget { "forget" } else { "settle" }.to_owned());
    }
    for parked in &part.parked {
        said.push(format!("park {}: {}", short(parked.side), parked.reason.code));
    }
    for skipped in &part.skipped {
        said.push(match &skipped.why {
            Why::Unreadable(side, _) => format!("skip: unreadable {}", side.name()),
            Why::Direction => "skip: direction".to_owned(),
            Why::Kept(side) => format!("skip: kept in {}", side.name()),
            Why::Away(_) => "skip: away".to_owned(),
            Why::JustGone(side) => format!("skip: just gone in {}", side.name()),
            other => format!("skip: {other:?}"),
        });
    }
    if said.is_empty() {
        return "quiet".to_owned();
    }
    said.join(" + ")
}

/// Reads a cell as the table writes it.
fn value(cell: &str) -> Option<Value> {
    let inner = |open: usize| &cell[open..cell.len() - 1];
    let items = || inner(1).split(',').filter(|item| !item.is_empty()).map(text);
    Some(match cell {
        "?" => return None,
        "∅" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "infinity" => Value::opaque("timestamptz", "infinity"),
        _ if cell.starts_with('\'') => text(inner(1)),
        _ if cell.starts_with('{') => Value::set(items()),
        _ if cell.starts_with('[') => Value::List(items().collect()),
        _ if cell.starts_with("file:") => Value::List(vec![Value::File(Box::new(File {
            url: cell[5..].to_owned(),
            name: "a".to_owned(),
            hosted: false,
        }))]),
        _ if cell.contains('/') => {
            let day = |text: &str| (!text.is_empty()).then(|| Moment::Day(text.parse().unwrap()));
            let (start, end) = cell.split_once('/').unwrap();
            Value::Range(Box::new(Range { start: day(start), end: day(end) }))
        }
        _ if cell.ends_with('Z') => Value::Instant(cell.parse().unwrap()),
        _ if cell.len() == 10 && cell.contains('-') => Value::Day(cell.parse().unwrap()),
        number => Value::Number(Number::parse(number).unwrap()),
    })
}

fn shown(value: &Value) -> String {
    let all = |items: &mut dyn Iterator<Item = &Value>| items.map(shown).collect::<Vec<_>>().join(",");
    match value {
        Value::Null => "∅".to_owned(),
        Value::Text(text) => format!("'{text}'"),
        Value::Number(number) => number.to_string(),
        Value::Bool(bool) => bool.to_string(),
        Value::Day(day) => day.to_string(),
        Value::Instant(instant) => instant.to_string(),
        Value::List(items) => format!("[{}]", all(&mut items.iter())),
        Value::Set(items) => format!("{{{}}}", all(&mut items.iter())),
        Value::Json(text) => format!("json:{text}"),
        other => format!("{other:?}"),
    }
}
